"""The figures of one moment, from every store that has some; what is away is left out."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from kombu.exceptions import OperationalError
from pymongo.errors import PyMongoError
from redis import RedisError

from app.broker import QUEUES
from app.deliveries.lag import Lag, lag_of
from app.health import BEATS_MISSED, Finding, HealthCheck
from app.receipts.census import Census
from app.receipts.job_type import JobType
from app.receipts.ledger import Ledger
from app.receipts.pulse import Crew, SpoolState
from app.receipts.status import TaskStatusEnum
from app.receipts.tally import Field

log = structlog.get_logger(__name__)

# Well under the ten seconds that Prometheus waits by default.
WITHIN_S: Final = 6.0
REMEMBERED_S: Final = 5.0
# Where looking is dear, it is done less often.
REST_AFTER: Final = 10
LONGEST_REST_S: Final = 30.0
AWAY: Final = (PyMongoError, RedisError, OperationalError, OSError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Each part is None where its store did not answer; no task types before one did."""

    findings: Mapping[str, Finding]
    task_types: frozenset[str]
    open_tasks: Mapping[tuple[TaskStatusEnum, str], int] | None
    receipts: int | None
    depths: Mapping[str, int] | None
    crews: Mapping[str, Crew] | None
    beat_age: timedelta | None
    lag: Lag | None
    spools: SpoolState | None
    tally: Mapping[Field, int] | None


class Observer:
    """Takes snapshots, and gives the last one again while it is fresh."""

    def __init__(self, ledger: Ledger, health: HealthCheck, *, heartbeat: timedelta) -> None:
        self._ledger = ledger
        self._census = Census(ledger.receipts)
        self._health = health
        self._heard_within = heartbeat * BEATS_MISSED
        self._lock = asyncio.Lock()
        self._last: Snapshot | None = None
        self._types: Mapping[str, JobType] = {}
        self._fresh_until_s = 0.0

    async def snapshot(self) -> Snapshot:
        """The figures, a few seconds old at most; several who ask at once get the same."""
        async with self._lock:
            if self._last is None or time.monotonic() >= self._fresh_until_s:
                start_s = time.monotonic()
                self._last = await self._take()
                took_s = time.monotonic() - start_s
                rest_s = min(LONGEST_REST_S, max(REMEMBERED_S, REST_AFTER * took_s))
                self._fresh_until_s = time.monotonic() + rest_s
            return self._last

    async def _take(self) -> Snapshot:
        ledger = self._ledger
        async with asyncio.TaskGroup() as asking:
            findings = asking.create_task(self._health.check())
            types = asking.create_task(_asked(ledger.job_types.all))
            open_tasks = asking.create_task(_asked(self._census.open_tasks))
            receipts = asking.create_task(_asked(self._census.stored))
            depths = asking.create_task(_asked(self._depths))
            crews = asking.create_task(_asked(self._crews))
            age = asking.create_task(_asked(ledger.pulse.age))
            lag = asking.create_task(_asked(self._lag))
            spools = asking.create_task(_asked(self._health.spools))
            tally = asking.create_task(_asked(ledger.cache.tally.read))
        # Without types, counters would seem to begin anew under `other`.
        self._types = types.result() or self._types
        return Snapshot(
            findings=findings.result(),
            task_types=frozenset(self._types),
            open_tasks=open_tasks.result(),
            receipts=receipts.result(),
            depths=depths.result(),
            crews=crews.result(),
            beat_age=age.result(),
            lag=lag.result(),
            spools=spools.result(),
            tally=tally.result(),
        )

    def _crews(self) -> dict[str, Crew]:
        return self._ledger.pulse.crews(within=self._heard_within)

    def _lag(self) -> Lag:
        return lag_of(self._ledger.receipts.tasks.database)

    def _depths(self) -> dict[str, int]:
        """Of our queues, and of those that job types were known to have at the last look."""
        of_types = (kind.queue for kind in self._types.values())
        return self._ledger.publisher.depths(sorted({*QUEUES, *of_types}))


async def _asked(ask: Callable[[], T]) -> T | None:
    try:
        return await asyncio.wait_for(asyncio.to_thread(ask), WITHIN_S)
    except (TimeoutError, *AWAY) as exc:
        log.warning("metrics.part_missing", error=type(exc).__name__)
        return None
