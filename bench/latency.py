"""How long a single task takes to start on an idle `waybill up`.

From the client's call of `submit` to `started_at` of the receipt, which the claim writes by
MongoDB's clock: its offset to this process's clock is measured first. And until a watcher knows:
the client opens the task's event stream once `submit` has answered, and reads of PROCESSING. Tasks
come one at a time, each once the one before has ended. The job does nothing.
"""

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pymongo import MongoClient

from app.database import Document
from bench.noop.job import NAME
from bench.row import Row, figure, noted, within
from bench.stack import bench_stack
from tests.polling import poll
from waybill import Client

TASKS: Final = 300
WARM_UP: Final = 20
REACH_MS: Final = 30.0
REGISTERED_WITHIN_S: Final = 60.0
CLOCK_READS: Final = 50
CLOCK_STEP_S: Final = 0.001  # MongoDB tells whole milliseconds


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds from a call of `submit`, of one task."""

    accepted_ms: float
    started_ms: float
    seen_ms: float


def rows(tasks: int = TASKS) -> list[Row]:
    """The median, which is judged, and what else is to be known of the same tasks."""
    with (
        bench_stack(imports="bench.noop.job") as (stack, client),
        MongoClient[Document](stack.mongo_url) as mongo,
    ):
        poll(
            lambda: client.tasks.submit_many([{"task_type": NAME}])["succeeded_count"] == 1,
            description=f"a worker serves {NAME}",
            within_s=REGISTERED_WITHIN_S,
        )
        ahead_s = _clock_ahead_s(mongo)
        waits = [_waits(client, ahead_s) for _ in range(WARM_UP + tasks)][WARM_UP:]
    accepted, started, seen = (
        [getattr(each, name) for each in waits] for name in ("accepted_ms", "started_ms", "seen_ms")
    )
    p99 = f"p99 {figure(_p99(started))} ms, of {tasks} tasks"
    median = statistics.median(started)
    return [
        within("submit to PROCESSING, idle, p50", median, reach=REACH_MS, unit="ms", note=p99),
        noted("the same until a watcher knows", _told(seen)),
        noted("the same until `submit` has answered", _told(accepted)),
    ]


def _waits(client: Client, ahead_s: float) -> Waits:
    began_at, began_s = time.time(), time.perf_counter()
    task = client.tasks.submit(NAME)
    accepted_s = time.perf_counter() - began_s
    seen_s = 0.0
    for event in client.tasks.stream(task["task_id"]):
        if event["event"] == "transition" and event["data"]["to"] == "PROCESSING":
            seen_s = time.perf_counter() - began_s
    ended = client.tasks.get(task["task_id"])
    if ended["status"] != "COMPLETED" or not seen_s:
        raise AssertionError(f"A no-op was seen for {seen_s:g} s and is {ended['status']}")
    started_at = datetime.fromisoformat(str(ended["started_at"])).timestamp()
    return Waits(1_000 * accepted_s, 1_000 * (started_at - ahead_s - began_at), 1_000 * seen_s)


def _clock_ahead_s(mongo: MongoClient[Document]) -> float:
    """What MongoDB's clock says more than ours, by the middle of its quickest answers."""
    reads = []
    for _ in range(CLOCK_READS):
        asked_at = time.time()
        told_at: datetime = mongo.admin.command("hello")["localTime"]
        answered_at = time.time()
        told_s = told_at.replace(tzinfo=UTC).timestamp() + CLOCK_STEP_S / 2
        reads.append((answered_at - asked_at, told_s - (asked_at + answered_at) / 2))
    quickest = sorted(reads)[: CLOCK_READS // 5]
    return statistics.median(ahead for _, ahead in quickest)


def _told(values_ms: list[float]) -> str:
    return f"p50 {figure(statistics.median(values_ms))} ms, p99 {figure(_p99(values_ms))} ms"


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
