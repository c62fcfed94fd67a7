"""One stack for the session's acceptance tests, run as its users run it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.command import Command
from tests.acceptance.shop import Shop
from tests.receiver import LOOPBACK, Receiver, receiving
from tests.s3_server import READABLE, READER, endpoint_url
from tests.stack import Stack, running_stack
from tests.web import ADDRESS, Web
from waybill import Client

README = Path(__file__).parents[2] / "README.md"


def readme_job() -> str:
    """The code of the README's job, as it stands there."""
    text = README.read_text()
    block = text[text.index("<!-- readme-job") :]
    start = block.index("```python\n") + len("```python\n")
    return block[start : block.index("```", start)]


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Whom the stack's webhooks may call. Tests take paths of their own."""
    with receiving() as running:
        yield running


@pytest.fixture(scope="session")
def stack(server_folder: Path, web: Web, s3_port: int, receiver: Receiver) -> Iterator[Stack]:
    """A running stack whose workers also serve the README's job.

    Small chunks; files, the tests' web server and their S3 server may be read.
    """
    root = server_folder / "stack"
    modules, files = root / "modules", root / "files"
    modules.mkdir(parents=True)
    files.mkdir()
    (modules / "thumbnails.py").write_text(readme_job())
    env = {
        "WAYBILL_IMPORTS": "thumbnails,tests.acceptance.jobs",
        "WAYBILL_FILE_ROOTS": str(files),
        "WAYBILL_EGRESS_ALLOWED_NETWORKS": ADDRESS,
        "WAYBILL_EGRESS_ALLOWED_PORTS": str(web.port),
        "WAYBILL_EGRESS_CA_FILE": str(web.ca_file),
        "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": LOOPBACK,
        "WAYBILL_WEBHOOK_ALLOWED_PORTS": str(receiver.port),
        "WAYBILL_S3_BUCKETS": READABLE,
        "WAYBILL_S3_ENDPOINT_URL": endpoint_url(s3_port),
        "WAYBILL_S3_REGION": "us-east-1",
        **READER,
        "WAYBILL_CHUNK_OBJECTS": "100",
        "WAYBILL_KILL_GRACE_S": "3",
        "WAYBILL_FOLLOW_UP_DEBOUNCE_S": "1",
        "WAYBILL_SCHEMA_DEBOUNCE_S": "0.2",
        "PYTHONPATH": f"{modules}:{README.parent}",
    }
    with running_stack(root / "data", env=env) as running:
        yield running


@pytest.fixture
def namespace(stack: Stack) -> str:
    """The name of a namespace of this test alone."""
    name = f"test-{secrets.token_hex(6)}"
    with Client(stack.api_url, stack.api_key) as admin:
        admin.namespaces.create(name)
    return name


@pytest.fixture
def client(stack: Stack, namespace: str) -> Iterator[Client]:
    """An admin's client in a namespace of this test alone."""
    with Client(stack.api_url, stack.api_key, namespace=namespace) as made:
        yield made


@pytest.fixture
def command(stack: Stack, namespace: str, tmp_path: Path) -> Command:
    """The `waybill` command in the same namespace, in a folder of its own."""
    return Command.of(stack, namespace, tmp_path)


@pytest.fixture
def shop(client: Client) -> Shop:
    """A bucket of texts with a collection that reads it."""
    return Shop.open(client)
