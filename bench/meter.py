"""What a stack's processes and servers have used so far, read from their own counters."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import psutil
import psycopg
from pymongo import MongoClient
from redis import Redis

from app.database import Document
from tests.stack import Stack

CPU: Final = "cpu_s "  # before a role's name
ELSEWHERE: Final = "elsewhere_s"  # CPU that went to others, or that the host kept back
CLIENT: Final = "client"
PARENT: Final = "worker parent"
CHILDREN: Final = "worker children"
MONGO: Final = ("mongo_commands", "mongo_in_bytes", "mongo_out_bytes", "journal_bytes")
REDIS: Final = ("redis_commands", "redis_in_bytes", "redis_out_bytes")
SIZES: Final = ("receipts", "receipt_bytes", "disk_bytes", "index_bytes", "oplog_bytes")
RUNS: Final = ("runs", "run_disk_bytes", "run_wal_bytes")


@dataclass(frozen=True, slots=True)
class Usage:
    """Amounts by name, and the seconds in which they were used."""

    seconds: float
    amounts: Mapping[str, float]

    def less(self, idle: "Usage") -> "Usage":
        """Without what an idle stack uses in the same time."""
        share = self.seconds / idle.seconds
        amounts = {
            name: max(0.0, amount - share * idle.amounts.get(name, 0.0))
            for name, amount in self.amounts.items()
        }
        return Usage(self.seconds, amounts)

    def cpu_ms(self, per: int) -> dict[str, float]:
        """CPU by role, for each of so many tasks."""
        return {
            name.removeprefix(CPU): 1000 * amount / per
            for name, amount in self.amounts.items()
            if name.startswith(CPU)
        }

    @property
    def cores(self) -> float:
        """Cores that were there to be used: without what others took."""
        return (psutil.cpu_count() or 1) - max(0.0, self.amounts[ELSEWHERE]) / self.seconds


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at a moment."""

    at_s: float
    amounts: Mapping[str, float]

    def since(self, earlier: Self) -> Usage:
        """What was used between the two."""
        return Usage(
            self.at_s - earlier.at_s,
            {name: amount - earlier.amounts[name] for name, amount in self.amounts.items()},
        )


@dataclass(slots=True)
class Meter:
    """Reads a stack that runs; its servers stay open to whoever measures."""

    stack: Stack
    mongo: MongoClient[Document]
    redis: Redis
    postgres: psycopg.Connection[Any]

    @classmethod
    @contextmanager
    def over(cls, stack: Stack) -> Iterator[Self]:
        """Connections of its own, for the block."""
        mongo: MongoClient[Document] = MongoClient(stack.mongo_url, tz_aware=True)
        with (
            mongo,
            Redis.from_url(stack.redis_url) as redis,
            psycopg.connect(stack.postgres_url, autocommit=True) as postgres,
        ):
            yield cls(stack, mongo, redis, postgres)

    def read(self) -> Reading:
        """Now: CPU by role, MongoDB's and Redis's commands and bytes."""
        amounts = {CPU + role: used_s for role, used_s in self._cpu_s().items()}
        amounts[ELSEWHERE] = _machine_s() - sum(amounts.values())
        status = self.mongo.admin.command("serverStatus")
        network, journal = status["network"], status["wiredTiger"]["log"]
        found = (network["numRequests"], network["bytesIn"], network["bytesOut"])
        amounts |= zip(MONGO, (*found, journal["log bytes written"]), strict=True)
        info = cast("dict[str, float]", self.redis.info())
        names = ("total_commands_processed", "total_net_input_bytes", "total_net_output_bytes")
        amounts |= zip(REDIS, (info[name] for name in names), strict=True)
        return Reading(time.monotonic(), amounts)

    def sizes(self) -> Reading:
        """Now: what receipts and runs take on disk, after a checkpoint of each server."""
        self.mongo.admin.command("fsync")
        self.postgres.execute("CHECKPOINT")
        tasks = self.mongo["waybill"].command("collStats", "tasks")
        oplog = self.mongo["local"].command("collStats", "oplog.rs")
        found = (tasks["count"], tasks["size"], tasks["storageSize"], tasks["totalIndexSize"])
        amounts = dict(zip(SIZES, (*found, oplog["size"]), strict=True))
        row = self.postgres.execute(
            "SELECT count(*), pg_total_relation_size('datastore.processing_events'),"
            " pg_current_wal_lsn() - '0/0'::pg_lsn FROM datastore.processing_events"
        ).fetchone()
        assert row is not None
        amounts |= zip(RUNS, map(float, row), strict=True)
        return Reading(time.monotonic(), amounts)

    def _cpu_s(self) -> dict[str, float]:
        used_s = {CLIENT: time.process_time()}
        for role, pid in self.stack.pids().items():
            own_s, children_s = _family_s(pid)
            if role == "worker":
                used_s |= {PARENT: own_s, CHILDREN: children_s}
            else:
                used_s[role] = own_s + children_s
        return used_s


@contextmanager
def held_still(pid: int) -> Iterator[None]:
    """The process and its children are stopped within the block, and go on after it."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(family):
            process.resume()


def _family_s(pid: int) -> tuple[float, float]:
    """CPU of the process, and of its children with those that have ended."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    children_s = times.children_user + times.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            theirs = child.cpu_times()
            children_s += sum(theirs[:4])
    return times.user + times.system, children_s


def _machine_s() -> float:
    """All CPU of the machine that was not idle, with what its host took (steal)."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
