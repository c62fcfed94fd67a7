"""The examples of docs/command.md, run in their order as they stand."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.command import Command
from waybill import Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "command.md"


@pytest.mark.timeout(300)
def test_the_examples_of_the_document(command: Command, client: Client) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) > 4
    done = subprocess.run(
        ["/bin/bash", "-euxo", "pipefail", "-c", "\n".join(blocks)],
        env=dict(command.environment),
        cwd=command.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=270,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert client.buckets.get("notes")["object_count"] == 4
    assert {task["status"] for task in client.tasks.list()} == {"COMPLETED"}
