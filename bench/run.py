"""Runs benchmarks, each in a process tree of its own, one after the other."""

import importlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from bench.catalog import MODULES
from bench.commit import commit
from bench.row import Row

SLOWEST_S: Final = 1_800.0
STOP_WITHIN_S: Final = 90.0
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of one benchmark, whether it came to its end, and the commit that it measured."""

    name: str
    rows: tuple[Row, ...]
    seconds: float
    commit: str
    has_failed: bool = False


def run_all(names: Iterable[str], *, kept: Path | None = None) -> Iterator[Outcome]:
    """Each as it ends; one that fails is a row that says so, and stops no other.

    What came to its end is left in the folder `kept`, and what is there is not run again.
    """
    for name in names:
        path = None if kept is None else kept / f"{name}.json"
        if path is not None and path.exists():
            yield TypeAdapter(Outcome).validate_json(path.read_text())
            continue
        outcome = _measured(name)
        if path is not None and not outcome.has_failed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(outcome)))
        yield outcome


def write_rows(name: str, path: Path) -> None:
    """Runs one here, and leaves its rows in the file."""
    module = importlib.import_module(MODULES[name])
    rows: list[Row] = module.rows()
    path.write_text(json.dumps([asdict(row) for row in rows]))


def _measured(name: str) -> Outcome:
    began_s = time.monotonic()
    rows = _in_a_process(name)
    seconds = time.monotonic() - began_s
    failure = Row(name, FAILED, is_reached=False)
    return Outcome(name, rows or (failure,), seconds, commit(), has_failed=not rows)


def _in_a_process(name: str) -> tuple[Row, ...]:
    """Its rows; none where it failed, and it said on stderr why."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
        path = Path(folder) / "rows.json"
        command = (sys.executable, "-m", "bench", "--rows", str(path), name)
        code = _ended(subprocess.Popen(command), name)
        if code != 0 or not path.exists():
            return ()
        return tuple(Row(**row) for row in json.loads(path.read_text()))


def _ended(process: subprocess.Popen[bytes], name: str) -> int:
    """Its exit code; one that takes too long is interrupted, and ends what it started."""
    try:
        return process.wait(SLOWEST_S)
    except subprocess.TimeoutExpired:
        print(f"{name} was not done within {SLOWEST_S:g} s", file=sys.stderr)
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
