"""The whole stack in a temporary folder, with its admin's client."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.stack import Stack, running_stack
from waybill import Client

ROOT: Final = Path(__file__).parents[1]
WORKERS: Final = 2


@contextmanager
def bench_stack(
    *, imports: str = "tests.acceptance.jobs", env: Mapping[str, str] | None = None
) -> Iterator[tuple[Stack, Client]]:
    """`waybill up` with two worker processes and the jobs of `imports`, all else by default."""
    added = {"WAYBILL_IMPORTS": imports, "PYTHONPATH": str(ROOT), **(env or {})}
    with (
        tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder,
        running_stack(Path(folder) / "data", workers=WORKERS, env=added) as running,
        Client(running.api_url, running.api_key) as client,
    ):
        yield running, client
