"""Counts for operators, in Redis: of all processes together, whichever of them end.

They travel with the copy of the receipt that a transition refreshes, so they cost no round trip.
A Redis that is away loses what happens meanwhile, and one that is flushed begins at zero again,
as counters of Prometheus may.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog
from redis import Redis, RedisError

from app.receipts.pause import Pause
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move

log = structlog.get_logger(__name__)

KEY: Final = "waybill:tally"
# A day without a single transition starts them at zero, which counters may do.
KEPT_FOR: Final = timedelta(days=1)
TTL_MS: Final = int(KEPT_FOR.total_seconds() * 1000)

# The type of tasks that were moved many at once, of which nobody read the types.
OTHER: Final = "other"
SUM: Final = "sum_ms"
# Upper bounds of a histogram's buckets, from a no-op to a run over night; the last has none.
BOUNDS_S: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0)

# KEYS[2] the tally, ARGV[8] what to add by field as JSON: the beginning of a longer script.
COUNT: Final = f"""
if ARGV[8] ~= '{{}}' then
  for field, by in pairs(cjson.decode(ARGV[8])) do redis.call('HINCRBY', KEYS[2], field, by) end
  redis.call('PEXPIRE', KEYS[2], {TTL_MS})
end
"""

Counts = Mapping[str, int]
NO_COUNTS: Final[Counts] = {}


class Measure(StrEnum):
    """What is counted, and what a count's detail is."""

    MOVED = "moved"  # the status
    RETRIED = "retried"
    EXPIRED = "expired"  # the status afterwards
    KILLED = "killed"  # the receipt's word for the outcome
    WAITED = "waited"  # a bucket's number, or SUM; so are the next two
    RAN = "ran"
    TOOK = "took"
    DELIVERED = "delivered"  # an attempt's outcome or error; the channel stands as the type
    RECORDED = "recorded"  # what became of a run's row; without a type


MEASURES: Final = frozenset(measure.value for measure in Measure)


@dataclass(frozen=True, slots=True)
class Field:
    """One count's name in the hash."""

    measure: Measure
    detail: str
    task_type: str

    def __str__(self) -> str:
        return f"{self.measure}|{self.detail}|{self.task_type}"


def packed(counts: Counts) -> str:
    """The counts as `COUNT` takes them."""
    return json.dumps(counts) if counts else "{}"


def added(measure: Measure, detail: str, task_type: str, by: int = 1) -> Counts:
    """One count."""
    return {str(Field(measure, detail, task_type)): by} if by else NO_COUNTS


def added_up(counts: Iterable[Counts]) -> Counts:
    """All of them as one."""
    total = Counter[str]()
    for each in counts:
        total.update(each)
    return total


def counts_of(receipt: Receipt, move: Move | None) -> Counts:
    """What a receipt adds that was stored first (no move), or has just been moved."""
    kind, counts = receipt.task_type, Counter[str]()
    counts.update(added(Measure.MOVED, receipt.status, kind))
    if move is None:
        return counts
    if move.to is TaskStatusEnum.PENDING and move.traceback is not None:
        counts.update(added(Measure.RETRIED, "", kind))
    if move.to is TaskStatusEnum.PROCESSING and receipt.attempt == 1:
        counts.update(_lasted(Measure.WAITED, kind, receipt.created_at, receipt.started_at))
    if receipt.is_terminal:
        counts.update(_lasted(Measure.RAN, kind, receipt.started_at, receipt.ended_at))
        counts.update(_lasted(Measure.TOOK, kind, receipt.created_at, receipt.ended_at))
        if receipt.cancellation is not None:
            counts.update(added(Measure.KILLED, str(receipt.cancellation.outcome), kind))
    return counts


def _lasted(
    measure: Measure, task_type: str, start: datetime | None, end: datetime | None
) -> Counts:
    if start is None or end is None:
        return NO_COUNTS
    # The receipt is made by another clock than the rest.
    duration_s = max(0.0, (end - start).total_seconds())
    bucket = str(bisect_left(BOUNDS_S, duration_s))
    return {
        **added(measure, bucket, task_type),
        **added(measure, SUM, task_type, round(duration_s * 1000)),
    }


class Tally:
    """The counts. A Redis that does not answer is logged and otherwise ignored, when adding."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pause = Pause()

    def add(self, counts: Counts) -> None:
        """Adds what has no copy to travel with, in one round trip."""
        if self._pause.is_on or not counts:
            return
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for field, by in counts.items():
                    pipeline.hincrby(KEY, field, by)
                pipeline.pexpire(KEY, TTL_MS)
                pipeline.execute()
        except RedisError as exc:
            self._pause.begin()
            log.warning("tally.add_failed", error=type(exc).__name__)

    def read(self) -> dict[Field, int]:
        """All counts; raises redis-py's `RedisError` when Redis is away."""
        return dict(_known(self._redis.hgetall(KEY)))


def _known(stored: Mapping[bytes | str, bytes | str]) -> Iterator[tuple[Field, int]]:
    """Without what another version of ours counts."""
    for name, value in stored.items():
        text = name.decode() if isinstance(name, bytes) else name
        match text.split("|", 2):
            case [measure, detail, task_type] if measure in MEASURES:
                yield Field(Measure(measure), detail, task_type), int(value)
