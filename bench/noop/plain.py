"""Plain Celery, its results in Redis."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

import psutil
from redis import Redis

from bench.noop.place import Place
from bench.noop.plain_app import app, noop

# As our own worker's command line; its flags are `waybill up`'s.
WORKER: Final = (
    *("-m", "celery", "--app", "bench.noop.plain_app", "worker"),
    *("--pool", "prefork", "--concurrency", "2", "--hostname", "plain@%h"),
    *("--task-events", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
)
RESULT_PREFIX: Final = "celery-task-meta-"
QUEUE: Final = "celery"
READ_AT_ONCE: Final = 1_000


@dataclass(slots=True)
class Plain:
    """Messages and results in one Valkey."""

    place: Place
    redis: Redis
    name: str = "plain Celery"
    _ids: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, place: Place) -> Self:
        app.conf.update(broker_url=place.redis_url, result_backend=place.redis_url)
        return cls(place, place.redis())

    def fill(self, count: int) -> None:
        self._ids = [noop.apply_async().id for _ in range(count)]

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        url = self.place.redis_url
        env = {"CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": url}
        program = self.place.program("plain", WORKER, env)
        with self.place.worker(program, prompt="ready.") as parent:
            yield parent

    def waiting(self) -> int:
        return self.redis.llen(QUEUE)

    def ended(self) -> list[float]:
        ends = []
        for start in range(0, len(self._ids), READ_AT_ONCE):
            keys = [RESULT_PREFIX + each for each in self._ids[start : start + READ_AT_ONCE]]
            for text in self.redis.mget(keys):
                meta = {"status": "PENDING"} if text is None else json.loads(text)
                if meta["status"] == "SUCCESS":
                    ends.append(datetime.fromisoformat(meta["date_done"]).timestamp())
                elif meta["status"] not in {"PENDING", "STARTED"}:
                    raise AssertionError(f"A no-op of plain Celery is {meta['status']}")
        return ends

    def clear(self) -> None:
        self.redis.flushall()
