"""Our own worker, as `waybill up` starts it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Self

import psutil
from celery import Celery
from pymongo.read_concern import ReadConcern
from redis import Redis

from app.broker import JOB_QUEUES, JOBS_QUEUE, celery_configuration
from app.database import connect
from app.embedded.program import Program
from app.embedded.role import Stack, programs
from app.log import configure_logging
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask
from app.settings import Settings
from bench.noop.job import NAME
from bench.noop.place import ROOT, Place
from tests.stack import clean_environment

PROCESSES: Final = 2
BULK: Final = 1_000


@dataclass(slots=True)
class Ours:
    """Receipts in MongoDB; those of each round belong to a namespace of its own."""

    place: Place
    ledger: Ledger
    redis: Redis
    name: str = "ours"
    _rounds: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _namespace_id: str = ""

    @classmethod
    def over(cls, place: Place) -> Self:
        """The stores that the API submits with."""
        settings = Settings(
            mongo_url=place.mongo_url, redis_url=place.redis_url, log_level="WARNING"
        )
        configure_logging(settings)
        celery = Celery("bench", set_as_current=False)
        celery.add_defaults(lambda: celery_configuration(settings))
        database = connect(settings, role="bench", wait_s=5, answer_s=30)
        ledger = Ledger.open(settings, database, celery)
        ledger.receipts.ensure_indexes()
        ledger.job_types.ensure_indexes()
        return cls(place, ledger, place.redis())

    def fill(self, count: int) -> None:
        self._namespace_id = f"ns_round{next(self._rounds)}"
        for start in range(0, count, BULK):
            self.ledger.submission.submit([self._new()] * min(BULK, count - start))

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        with self.place.worker(self._program(), prompt="ready.") as parent:
            yield parent

    def waiting(self) -> int:
        return sum(self.redis.llen(queue) for queue in JOB_QUEUES)

    def ended(self) -> list[float]:
        """By MongoDB's clock, of receipts that the majority has as COMPLETED."""
        tasks = self.ledger.receipts.tasks.with_options(read_concern=ReadConcern("majority"))
        rows = tasks.find({"namespace_id": self._namespace_id}, {"status": 1, "ended_at": 1})
        ends = []
        for row in rows:
            if row["status"] == "COMPLETED":
                ends.append(row["ended_at"].timestamp())
            elif row["status"] not in {"PENDING", "PROCESSING"}:
                raise AssertionError(f"A no-op of ours is {row['status']}")
        return ends

    def clear(self) -> None:
        """Receipts stay, as they do: an earlier round is in nobody's way."""
        self.redis.flushall()

    def _new(self) -> NewTask:
        return NewTask(
            task_type=NAME,
            namespace_id=self._namespace_id,
            inputs=[],
            actor="key:bench",
            additional_data={},
            max_attempts=3,
            queue=JOBS_QUEUE,
        )

    def _program(self) -> Program:
        env = {"WAYBILL_IMPORTS": "bench.noop.job", "PYTHONPATH": str(ROOT)}
        stack = Stack(
            mongo_url=self.place.mongo_url,
            redis_url=self.place.redis_url,
            postgres_url=self.place.postgres_url or "",
            api_host="",
            api_port=0,
            api_key="",
            secret_key="",
            flower_port=0,
            flower_user="",
            flower_password="",
            workers=PROCESSES,
        )
        all_of_them = programs(stack, self.place.layout, clean_environment(env))
        (program,) = (each for each in all_of_them if each.role == "worker")
        told = {name: value for name, value in program.env.items() if value}
        return replace(program, env=told)
