"""The examples of the documents, run as they stand, against a running stack."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, clean_environment
from waybill import Client

ROOT = Path(__file__).parents[2]
# Documents whose ```python and ```sh blocks are run, in order, each in a process of its own.
# docs/command.md and the README have tests of their own.
DOCUMENTS = (
    "docs/after_ingestion.md",
    "docs/client.md",
    "docs/clusters.md",
    "docs/keys.md",
    "docs/migrations.md",
    "docs/operators.md",
    "docs/runs.md",
    "docs/taxonomies.md",
    "docs/webhooks.md",
)
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INTERPRETERS = {
    "python": (sys.executable, "-W", "error", "-c"),
    "sh": ("/bin/bash", "-euo", "pipefail", "-c"),
}
WITHIN_S = 100

pytestmark = pytest.mark.timeout(300)


def blocks(document: str) -> Iterator[tuple[int, str, str]]:
    """Each block's first line in the document, its language, and its code."""
    text = (ROOT / document).read_text()
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start(2)) + 1, found.group(1), found.group(2)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_run(document: str, stack: Stack) -> None:
    namespace = f"examples-{Path(document).stem}"
    with Client(stack.api_url, stack.api_key) as admin:
        admin.namespaces.create(namespace)
    environment = clean_environment(
        {
            "WAYBILL_URL": stack.api_url,
            "WAYBILL_API_KEY": stack.api_key,
            "WAYBILL_NAMESPACE": namespace,
            "WAYBILL_POSTGRES_URL": stack.postgres_url,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
    )
    found = list(blocks(document))
    assert found
    for line, language, code in found:
        done = subprocess.run(
            [*INTERPRETERS[language], code],
            env=environment,
            cwd=stack.data_dir,  # where its ready file is
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0, f"{document}:{line}\n{done.stdout}\n{done.stderr}"
