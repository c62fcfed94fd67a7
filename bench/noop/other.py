"""A system that is not Celery, driven through its own commands."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psutil
from redis import Redis

from bench.noop.beside.script import VARIABLE
from bench.noop.place import Place
from tests.stack import clean_environment

SCRIPT: Final = "bench.noop.beside.script"
FOLDER: Final = "bench.noop.beside"


@dataclass(slots=True)
class Other:
    """`argv` is its worker's command line, `prompt` what that logs, `depth` reads its queue."""

    name: str
    module: str
    argv: tuple[str, ...]
    prompt: str
    depth: Callable[[Redis], int]
    place: Place
    _ids: list[str] = field(default_factory=list)

    def fill(self, count: int) -> None:
        self._ids = json.loads(self._ask("fill", str(count)))

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        program = self.place.program(self.module, self.argv, self._env())
        with self.place.worker(program, prompt=self.prompt) as parent:
            yield parent

    def waiting(self) -> int:
        with self.place.redis() as redis:
            return self.depth(redis)

    def ended(self) -> list[float]:
        ends: list[float] = json.loads(self._ask("ended", said=json.dumps(self._ids)))
        return ends

    def clear(self) -> None:
        with self.place.redis() as redis:
            redis.flushall()

    def _ask(self, *what: str, said: str = "") -> str:
        command = (sys.executable, "-m", SCRIPT, f"{FOLDER}.{self.module}", *what)
        env = clean_environment(self._env())
        return subprocess.run(
            command, env=env, input=said, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def _env(self) -> dict[str, str]:
        return {VARIABLE: self.place.redis_url}


def others(place: Place) -> list[Other]:
    """All of them, each with two worker processes."""
    url = place.redis_url
    return [
        Other(
            "dramatiq",
            "dramatiq_app",
            ("-m", "dramatiq", f"{FOLDER}.dramatiq_app", "--processes", "2"),
            "ready for action",
            lambda redis: redis.llen("dramatiq:default"),
            place,
        ),
        Other(
            "taskiq",
            "taskiq_app",
            ("-m", "taskiq", "worker", f"{FOLDER}.taskiq_app:broker", "--workers", "2"),
            "Listening",
            _lag,
            place,
        ),
        Other(
            "huey",
            "huey_app",
            (
                *("-m", "huey.bin.huey_consumer", f"{FOLDER}.huey_app.huey"),
                *("--worker-type", "process", "--workers", "2"),
            ),
            "started",
            lambda redis: redis.llen("huey.redis.bench"),
            place,
        ),
        Other(
            "RQ",
            "rq_app",
            ("-m", "rq.cli", "worker-pool", "--num-workers", "2", "--url", url, "default"),
            "orker",
            lambda redis: redis.llen("rq:queue:default"),
            place,
        ),
    ]


def _lag(redis: Redis) -> int:
    """What no worker has read yet of taskiq's stream."""
    (group,) = redis.xinfo_groups("taskiq")
    return int(group["lag"] or 0)
