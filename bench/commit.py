"""Which state of this repository is measured."""

import subprocess
from functools import cache
from pathlib import Path


@cache
def commit() -> str:
    """Of this repository, with a mark where files differ from it; a copy without it has none."""
    command = ("git", "describe", "--always", "--dirty", "--abbrev=12")
    found = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    ).stdout
    return found.strip() or "unknown"
