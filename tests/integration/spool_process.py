"""A process that writes to a spool, or drains one, until it is killed.

`write FOLDER COUNT` starts so many runs and ends all but the last. `drain FOLDER URL` stores one
batch. Each then says so on its standard output, and waits.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.tracking.event import ProcessingEvent
from app.tracking.pool import LazyPool
from app.tracking.spooling.drain import Drain, sole_drainer
from tests.integration.spooling import open_spool, run

ROOT: Final = Path(__file__).parents[2]


@contextmanager
def waiting_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has done its part, killed at the block's end if it was not before."""
    command = [sys.executable, "-m", "tests.integration.spool_process", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        try:
            yield process
        finally:
            process.kill()


def _write(folder: str, count: str) -> None:
    spool = open_spool(Path(folder))
    last: ProcessingEvent | None = None
    for number in range(int(count)):
        if last is not None:
            last.finish_job("success")
            spool.finish(last)
        last = spool.start(run(f"killed/{number}"))
    _wait()


def _drain(folder: str, url: str) -> None:
    connection = LazyPool(url, most=1)
    with sole_drainer(Path(folder)):
        assert not Drain(Path(folder), connection).round().is_last
        _wait()


def _wait() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    {"write": _write, "drain": _drain}[sys.argv[1]](*sys.argv[2:])
