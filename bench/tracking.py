"""Runs a second that ProcessingTracker starts and ends, against a bare psycopg loop.

Both make the same statements from as many processes, threads and connections, the bare one over
values that are ready.
"""

import itertools
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from queue import SimpleQueue
from typing import Any, Final

import psycopg

from app.tracking.owner import new_owner
from app.tracking.pool import LazyPool
from app.tracking.table import FINISH, START
from app.tracking.tracker import POOL_MOST, ProcessingTracker
from bench.noop.place import open_place
from bench.rounds import ROUNDS, Comparison, alternate
from bench.row import Row, at_least

EVENTS: Final = 60_000
PROCESSES: Final = 4
THREADS: Final = 64  # of each process
REACH: Final = 0.7
START_WITHIN_S: Final = 60.0

Run = Callable[[str], None]


def rows(events: int = EVENTS) -> list[Row]:
    """One row: `events` of ours over all rounds."""
    with open_place(with_runs=True) as place:
        assert place.postgres_url is not None
        found = _compare(place.postgres_url, events)
    return [
        at_least(
            f"runs started and ended, {PROCESSES} processes × {THREADS} threads",
            found,
            reach=REACH,
            unit="runs/s",
            against="a bare psycopg loop",
        )
    ]


def _compare(url: str, events: int) -> Comparison:
    each = -(-events // (ROUNDS * PROCESSES * THREADS))
    context = get_context("spawn")
    together = context.Barrier(PROCESSES)
    numbers = itertools.count()
    with context.Pool(PROCESSES, _open, (url, together)) as processes:

        def rate(kind: str) -> float:
            number = next(numbers)
            tasks = [(kind, f"{number}/{process}", each) for process in range(PROCESSES)]
            spans = processes.starmap(_spent, tasks, chunksize=1)
            took_s = max(end for _, end in spans) - min(begun for begun, _ in spans)
            return each * PROCESSES * THREADS / took_s

        found = alternate(lambda: rate("ours"), lambda: rate("bare"))
    _check(url, each * PROCESSES * THREADS * (ROUNDS + 1))
    return found


def _check(url: str, expected: int) -> None:
    """Every run of ours has ended once, and none is there that was not started."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT status, count(*), count(DISTINCT reference)"
            " FROM datastore.processing_events WHERE processor_name = 'ours' GROUP BY status"
        ).fetchall()
    if found != [("success", expected, expected)]:
        raise AssertionError(f"{expected:,} runs were started, the table has {found}")


_runs: dict[str, Run] = {}
_together: list[Barrier] = []


def _open(url: str, together: Barrier) -> None:
    """Connections of one process, both kinds of them as many."""
    _together.append(together)
    tracker = ProcessingTracker("bench", "ours", LazyPool(url, most=POOL_MOST))
    connections: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
    for _ in range(POOL_MOST):
        connections.put(psycopg.connect(url, autocommit=True))
    _runs["ours"] = lambda reference: _tracked(tracker, reference)
    owner_id = new_owner().owner_id
    _runs["bare"] = lambda reference: _bare(connections, reference, owner_id)


def _tracked(tracker: ProcessingTracker, reference: str) -> None:
    started = tracker.start_event(reference, _event(reference), input_rows=1_000)
    if started is None or not tracker.end_event(started, output_rows=1_000):
        raise AssertionError(f"{reference} was not stored")


def _bare(
    connections: "SimpleQueue[psycopg.Connection[Any]]", reference: str, owner_id: str
) -> None:
    run_id = str(uuid.uuid4())
    event = json.dumps(_event(reference))
    now = datetime.now(UTC)
    names = ("bench", "bare")
    connection = connections.get()
    found = connection.execute(
        START, (run_id, *names, reference, event, 1_000, now, owner_id, 60.0)
    ).fetchone()
    connections.put(connection)
    now = datetime.now(UTC)
    connection = connections.get()
    values = ("success", None, 1_000, now, str(uuid.uuid4()), run_id, *names)
    ended = connection.execute(FINISH, values).rowcount
    connections.put(connection)
    if found is None or ended != 1:
        raise AssertionError(f"{reference} was not stored")


def _event(reference: str) -> dict[str, Any]:
    return {"s3_key": f"s3://bucket/{reference}.parquet", "columns": ["id", "text"], "retry": 0}


def _spent(kind: str, prefix: str, each: int) -> tuple[float, float]:
    """When this process's threads began and ended `each` runs."""
    run = _runs[kind]

    def thread(number: int) -> None:
        for count in range(each):
            run(f"{prefix}/{number}/{count}")

    _together[0].wait(START_WITHIN_S)
    begun_s = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(thread, range(THREADS)))
    return begun_s, time.perf_counter()
