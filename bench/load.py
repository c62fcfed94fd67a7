"""Jobs that do nothing, put on a stack in bulk, and the waits for their end."""

import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bench.job import NOTHING
from bench.meter import Meter, held_still
from tests.polling import poll
from waybill import ApiError, Client

CALL: Final = 1_000  # tasks, the most that one call takes
LOOK_EVERY_S: Final = 0.5  # a look costs MongoDB two reads off an index
ENDED_WITHIN_S: Final = 900.0
KNOWN_WITHIN_S: Final = 60.0
DATABASE: Final = "waybill"

Filter = Mapping[str, Any]
OPEN: Final[Filter] = {"status": {"$in": ["PENDING", "PROCESSING"]}}
UNTOLD: Final[Filter] = {"untold_since": {"$exists": True}}


def submit(client: Client, count: int, task_type: str = NOTHING) -> None:
    """So many tasks, a thousand a call; `AssertionError` where one is refused."""
    answer = client.tasks.submit_many([{"task_type": task_type, "inputs": []}] * count)
    assert answer["failed"] == [], answer["failed"][:1]


def warm_up(client: Client, meter: Meter, count: int = CALL) -> None:
    """Once the workers have said which types they serve: so many tasks, which are waited for."""

    def is_known() -> bool:
        try:
            client.tasks.submit(NOTHING)
        except ApiError:
            return False
        return True

    poll(is_known, description="the workers serve jobs", within_s=KNOWN_WITHIN_S)
    submit(client, count)
    settle(meter)


def settle(meter: Meter) -> None:
    """Returns once every task has ended, others were told, and its run stands in PostgreSQL."""
    tasks = meter.mongo[DATABASE]["tasks"]
    deadline_s = time.monotonic() + ENDED_WITHIN_S
    while tasks.find_one(OPEN) or tasks.find_one(UNTOLD) or _runs_are_open(meter):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the tasks were not done within {ENDED_WITHIN_S:g} s")
        time.sleep(LOOK_EVERY_S)


def drain_rate(client: Client, meter: Meter, count: int) -> float:
    """Tasks a second from a full queue: from the first one's start to the last one's end."""
    begin = datetime.now(UTC)
    with held_still(meter.stack.pid("worker")):
        submit(client, count)
    settle(meter)
    return ended_rate(meter, begin)


def ended_rate(meter: Meter, begin: datetime) -> float:
    """The same of the tasks that were made since `begin`, by their receipts."""
    made = {"task_type": NOTHING, "created_at": {"$gte": begin}}
    first, last = {"$min": "$started_at"}, {"$max": "$ended_at"}
    group = {"_id": None, "first": first, "last": last, "count": {"$sum": 1}}
    found = next(meter.mongo[DATABASE]["tasks"].aggregate([{"$match": made}, {"$group": group}]))
    return float(found["count"] / (found["last"] - found["first"]).total_seconds())


def start_latency_ms(client: Client, meter: Meter, times: int) -> float:
    """The median from before a submit to its task's start, one task at a time."""
    taken_ms: list[float] = []
    for _ in range(times):
        begin = datetime.now(UTC)
        task = client.tasks.submit(NOTHING)
        settle(meter)
        stored = meter.mongo[DATABASE]["tasks"].find_one({"_id": task["task_id"]})
        assert stored is not None
        taken_ms.append((stored["started_at"] - begin).total_seconds() * 1000)
    return statistics.median(taken_ms)


def _runs_are_open(meter: Meter) -> bool:
    open_runs = "SELECT 1 FROM datastore.processing_events WHERE ended_at IS NULL LIMIT 1"
    return meter.postgres.execute(open_runs).fetchone() is not None
