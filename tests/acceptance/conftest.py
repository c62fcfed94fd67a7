"""One stack for the session's acceptance tests, run as its users run it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop
from tests.stack import Stack, running_stack
from waybill.client import Client

README = Path(__file__).parents[2] / "README.md"


def readme_job() -> str:
    """The code of the README's job, as it stands there."""
    text = README.read_text()
    block = text[text.index("<!-- readme-job") :]
    start = block.index("```python\n") + len("```python\n")
    return block[start : block.index("```", start)]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack whose workers also serve the README's job; small chunks, files allowed."""
    root = tmp_path_factory.mktemp("stack")
    modules, files = root / "modules", root / "files"
    modules.mkdir()
    files.mkdir()
    (modules / "thumbnails.py").write_text(readme_job())
    env = {
        "WAYBILL_IMPORTS": "thumbnails,tests.acceptance.jobs",
        "WAYBILL_FILE_ROOTS": str(files),
        "WAYBILL_CHUNK_OBJECTS": "100",
        "WAYBILL_KILL_GRACE_S": "3",
        "PYTHONPATH": f"{modules}:{README.parent}",
    }
    with running_stack(root / "data", env=env) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """An admin's client in a namespace of this test alone."""
    name = f"test-{secrets.token_hex(6)}"
    with Client(stack.api_url, stack.api_key) as admin:
        admin.request("POST", "/v1/namespaces", {"namespace_name": name})
    with Client(stack.api_url, stack.api_key, namespace=name) as made:
        yield made


@pytest.fixture
def shop(client: Client) -> Shop:
    """A bucket of texts with a collection that reads it."""
    return Shop.open(client)
