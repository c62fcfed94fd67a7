"""Which processes run for a data folder, written down so that a later start can end them."""

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from app.embedded.layout import write_private
from app.embedded.program import Child

GRACE_S: Final = 5.0  # mongod checkpoints in about one; the rest is for a slow disk
PAUSE_S: Final = 0.05
CLOCK_SLACK_S: Final = 0.05  # start times count in ticks of 10 ms
MARK: Final = "WAYBILL_DATA_DIR"  # stands in the environment of every process of the server part


@dataclass(frozen=True, slots=True)
class Entry:
    """One process; its pid and start time together are never given to another."""

    role: str
    pid: int
    create_time: float
    stop_signal: str


def write(path: Path, children: Iterable[Child]) -> None:
    """Replaces the record by these children, leaving out those that have ended."""
    entries = [
        Entry(
            role=child.program.role,
            pid=child.pid,
            create_time=psutil.Process(child.pid).create_time(),
            stop_signal=child.program.stop_signal.name,
        )
        for child in children
        if child.exit_code() is None
    ]
    write_private(path, json.dumps([asdict(entry) for entry in entries], indent=1))


def read(path: Path) -> list[Entry]:
    """The record; empty when there is none."""
    if not path.exists():
        return []
    return [Entry(**entry) for entry in json.loads(path.read_text())]


def end_leftovers(path: Path, *, data_dir: Path) -> list[str]:
    """Ends what a killed `waybill up` left running, groups and all; returns the roles it found.

    Safe to repeat. The caller holds the data folder's lock, so nobody writes the record now.
    """
    entries = read(path)
    left = {entry: list(_alive(entry, data_dir)) for entry in entries}
    leaders = []
    for entry, processes in left.items():
        for leader in (process for process in processes if process.pid == entry.pid):
            _send(leader, signal.Signals[entry.stop_signal])
            leaders.append(leader)
    _wait(leaders, within_s=GRACE_S)
    rest = [process for entry in entries for process in _alive(entry, data_dir)]
    for process in rest:
        _send(process, signal.SIGKILL)
    _wait(rest, within_s=GRACE_S)
    path.unlink(missing_ok=True)
    return [entry.role for entry, processes in left.items() if processes]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; what nobody has reaped yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _alive(entry: Entry, data_dir: Path) -> Iterator[psutil.Process]:
    """The recorded process and all of its session, each proved to be ours."""
    leader = _process(entry.pid)
    ours = leader is not None and abs(leader.create_time() - entry.create_time) <= CLOCK_SLACK_S
    if leader is not None and not ours:
        return  # the number belongs to a stranger now
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) != entry.pid or not is_alive(process):
                continue
            # Without its leader a session's number proves little: ask the process itself.
            if ours or process.environ().get(MARK) == str(data_dir):
                yield process


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait(processes: list[psutil.Process], *, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while any(map(is_alive, processes)) and time.monotonic() < deadline_s:
        time.sleep(PAUSE_S)
