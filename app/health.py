"""Whether each part that the product needs answers now."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import psycopg
from pymongo.database import Database
from pymongo.errors import PyMongoError
from starlette.concurrency import run_in_threadpool

from app.broker import CONTROL_QUEUE, JOBS_QUEUE
from app.database import Document
from app.receipts.copy_reader import AWAY
from app.receipts.pulse import BEAT, PulseStore, SpoolState
from app.receipts.reading import ReceiptReader
from app.settings import Settings

BEAT_SILENT_AFTER: Final = timedelta(seconds=20)  # four ticks
BEATS_MISSED: Final = 3  # renewals that a worker may miss before it counts as gone
# Drains tell every five seconds, or after their longest rest and a connection's time-out.
SPOOLS_TOLD_WITHIN: Final = timedelta(seconds=60)
CONNECT_TIMEOUT_S: Final = 2
CHECK_TIMEOUT_S: Final = 6.0


class Health(StrEnum):
    """The state of one part, and of the whole."""

    OK = "OK"
    DEGRADED = "DEGRADED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part's state, and a sentence on it that names no host."""

    status: Health
    detail: str


class HealthCheck:
    """Asks every part, all at once. The database's client is one that gives up within seconds."""

    def __init__(
        self,
        settings: Settings,
        database: Database[Document],
        reader: ReceiptReader,
        pulse: PulseStore,
    ) -> None:
        self._settings = settings
        self._database = database
        self._reader = reader
        self._pulse = pulse

    async def check(self) -> dict[str, Finding]:
        """The finding of each part by its name."""
        checks: dict[str, Callable[[], Awaitable[Finding]]] = {
            "mongodb": lambda: run_in_threadpool(self._mongodb),
            "redis": self._redis,
            "postgres": lambda: run_in_threadpool(self._postgres),
            "workers": lambda: run_in_threadpool(self._workers, JOBS_QUEUE),
            "control": lambda: run_in_threadpool(self._workers, CONTROL_QUEUE),
            "beat": lambda: run_in_threadpool(self.beat),
        }
        findings = await asyncio.gather(*(_bounded(check) for check in checks.values()))
        return dict(zip(checks, findings, strict=True))

    def beat(self) -> Finding:
        """Whether Beat ticks and a control worker hears it."""
        try:
            age = self._pulse.age(BEAT)
        except PyMongoError:
            return Finding(Health.DEGRADED, "unknown: MongoDB does not answer")
        if age is None:
            return Finding(Health.DEGRADED, "no tick was ever heard")
        status = Health.DEGRADED if age > BEAT_SILENT_AFTER else Health.OK
        return Finding(status, f"the last tick was {age.total_seconds():.0f} s ago")

    def _mongodb(self) -> Finding:
        try:
            hello = self._database.command("hello")
        except PyMongoError:
            return Finding(Health.DEGRADED, "does not answer")
        if not hello.get("isWritablePrimary"):
            return Finding(Health.DEGRADED, "has no primary")
        return Finding(Health.OK, "answers, with a primary")

    async def _redis(self) -> Finding:
        try:
            await self._reader.ping()
        except AWAY:
            return Finding(Health.DEGRADED, "does not answer")
        return Finding(Health.OK, "answers")

    def _postgres(self) -> Finding:
        if self._settings.postgres_url is None:
            return Finding(Health.OK, "not configured")
        spools = self.spools()
        try:
            with psycopg.connect(
                self._settings.postgres_url, connect_timeout=CONNECT_TIMEOUT_S
            ) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return Finding(Health.DEGRADED, f"does not answer{_waiting(spools)}")
        if spools is not None and not spools.takes_runs:
            return Finding(Health.DEGRADED, f"answers, but runs are lost{_waiting(spools)}")
        return Finding(Health.OK, "answers")

    def spools(self) -> SpoolState | None:
        """What waits on the workers' disks for PostgreSQL; None where none told of it lately."""
        try:
            return self._pulse.spools(within=SPOOLS_TOLD_WITHIN)
        except PyMongoError:
            return None

    def _workers(self, queue: str) -> Finding:
        within = timedelta(seconds=self._settings.heartbeat_s * BEATS_MISSED)
        try:
            count = self._pulse.workers(queue, within=within)
        except PyMongoError:
            return Finding(Health.DEGRADED, "unknown: MongoDB does not answer")
        return Finding(Health.OK if count else Health.DEGRADED, f"{count} heard lately")


def _waiting(spools: SpoolState | None) -> str:
    if spools is None:
        return ""
    full = "" if spools.takes_runs else ", which has no room for more"
    size_kib = spools.waiting_bytes / 1024
    size = f"{size_kib:.0f} KiB" if size_kib < 1024 else f"{size_kib / 1024:.1f} MiB"
    return f"; {size} of runs wait on disk{full}"


async def _bounded(check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except TimeoutError:
        return Finding(Health.DEGRADED, f"did not answer within {CHECK_TIMEOUT_S:g} s")
