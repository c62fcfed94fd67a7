"""Many processes and threads on one table, and a PostgreSQL that is killed in their middle."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Literal, TypeVar

import psutil

from app.embedded import record
from app.embedded.layout import Layout
from app.embedded.port import free_ports
from app.embedded.postgres import Postgres
from app.embedded.server import running
from app.tracking.tracker import ProcessingTracker
from tests.integration.tracking import Spare, rows
from tests.polling import poll

T = TypeVar("T")
PROCESSES = 2  # each forks another
THREADS = 16
EACH = 20
KILLS = 3
RUNS = 600


def test_every_run_of_many_threads_and_processes_ends_once(postgres_url: str) -> None:
    with ExitStack() as started:
        processes = [started.enter_context(loaded(postgres_url, n)) for n in range(PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            assert "ready\n" in process.stdout
        for process in processes:
            said, wrong = process.communicate("go\n", timeout=180)
            assert (process.returncode, said, wrong) == (0, "done\n", "")
    found = rows(postgres_url)
    assert len(found) == len({row["reference"] for row in found})
    each_side = PROCESSES * THREADS * EACH  # of parents and of children: half of them end well
    statuses = Counter(row["status"] for row in found)
    assert statuses == {"success": each_side + PROCESSES, "failure": each_side}
    assert len({row["owner_id"] for row in found}) == 2 * PROCESSES


def test_nothing_is_lost_and_nothing_is_twice_when_postgres_is_killed(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.make()
    (port,) = free_ports(1)
    server = Postgres(layout, port)
    ended: list[str] = []
    with ExitStack() as after:
        pool = after.enter_context(closing(Spare(server.url)))
        tracker = ProcessingTracker("shop", "embed", pool)
        after.callback(tracker.close)
        threads = ThreadPoolExecutor(THREADS)
        after.callback(threads.shutdown, cancel_futures=True)
        futures = [threads.submit(insist, tracker, f"run-{n}", ended) for n in range(RUNS)]
        for life in range(1, KILLS + 2):
            goal = life * RUNS // (KILLS + 1)
            with running(layout, [server]):
                poll(
                    lambda goal=goal: len(ended) >= goal,  # type: ignore[misc]
                    description=f"{goal} have ended",
                    within_s=120,
                )
                if life <= KILLS:
                    kill(layout)
                else:
                    ids = {future.result(120) for future in futures}
                    found = rows(server.url)
        assert tracker._running_job_ids == {}
    assert {row["reference"] for row in found} == {f"run-{n}" for n in range(RUNS)}
    assert {row["processing_id"] for row in found} == ids
    assert {row["status"] for row in found} == {"success"}
    assert len(found) == len(ids) == RUNS


def loaded(url: str, number: int) -> "subprocess.Popen[str]":
    module = "tests.integration.tracking_load"
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "default::ResourceWarning",
            "-m",
            module,
            url,
            str(number),
            str(THREADS),
            str(EACH),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def insist(tracker: ProcessingTracker, reference: str, ended: list[str]) -> str:
    """Starts and ends one run, again until each was stored; its id."""
    started = again(lambda: tracker.start_event(reference, {}))
    again(lambda: tracker.end_event(started))
    ended.append(started)
    return started


def again(call: Callable[[], T | Literal[False] | None]) -> T:
    return poll(call, description="PostgreSQL stores it", within_s=120)


def kill(layout: Layout) -> None:
    """The server and all its processes, without a word."""
    for entry in record.read(layout.processes):
        process = psutil.Process(entry.pid)
        # Stopped first, it starts none that would be missed. A session left over would wait for
        # ever for a lock that a killed one held, and the next server would not start beside it.
        process.suspend()
        children = process.children(recursive=True)
        for each in (process, *children):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(children)
