"""`GET /v1/tasks/{id}` beside a bare FastAPI route that returns one Redis value.

Both run in one process under uvicorn with the options of `waybill up`, read the same Redis, and
get the same requests from the same generator: `CONNECTIONS` keep-alive connections, each with one
request at a time, for one after the other of the ids. Ours is as `waybill up` starts it: with
authentication, namespaces, metrics of the requests and ETags, and with no rate limit, since that is
the default: a key with one costs a second read of Redis. The reference's values are the bodies of
our answers, so that both send as many bytes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import httpx
import psutil
from pymongo import MongoClient
from redis import Redis

from app.database import Document
from app.embedded.port import LOOPBACK, accepts, free_ports
from app.receipts.cache import KEY_PREFIX
from app.receipts.status import TERMINAL_VALUES
from app.resources.namespace import DEFAULT_NAME
from bench.generator import Share, fill
from bench.http_load import Load, drive
from bench.rounds import alternate
from bench.row import Row, at_least, figure, noted
from bench.stack import ROOT, bench_stack
from tests.polling import poll
from tests.stack import Stack
from waybill import Client

TASKS: Final = 500
REQUESTS: Final = 5_000  # a round
READS_OF_MONGODB: Final = 1_000
CONNECTIONS: Final = 32
READY_WITHIN_S: Final = 30
TICKS: Final = 1_000_000  # of a job that runs for as long as it is looked at
JSON_HEADERS: Final = {"Accept": "application/json"}


@dataclass(slots=True)
class Server:
    """One that is measured: where it answers, and what it used."""

    port: int
    pid: int
    headers: dict[str, str]
    requests: int = 0
    cpu_s: float = 0.0

    def rate(self, paths: Sequence[str], *, count: int = REQUESTS) -> float:
        """Requests a second."""
        load = Load(LOOPBACK, self.port, self.headers, paths, count, CONNECTIONS)
        before_s = self._used_s()
        found = drive(load)
        self.cpu_s += self._used_s() - before_s
        self.requests += count
        return found

    def cpu_us(self) -> float:
        """CPU of the process for each request so far, in microseconds."""
        return 1e6 * self.cpu_s / self.requests

    def _used_s(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


def rows() -> list[Row]:
    """Tasks that have ended, a task that runs, and MongoDB where Redis has no copy."""
    with bench_stack() as (stack, client), _bare_route(stack.redis_url) as bare:
        ended = _ended(stack, client)
        running = client.tasks.submit("test_slow", [TICKS])["task_id"]
        found = [
            *_compared(stack, bare, ended, what="that have ended"),
            *_compared(stack, bare, [running], what="one that runs"),
            _from_mongodb(stack, ended),
        ]
        client.tasks.kill(running)
        return found


def _compared(stack: Stack, bare: Server, task_ids: Sequence[str], *, what: str) -> list[Row]:
    ours, reference = _api(stack), Server(bare.port, bare.pid, bare.headers)
    paths = [f"/v1/tasks/{task_id}" for task_id in task_ids]
    _copy_bodies(stack, ours, task_ids)
    values = [f"/values/{task_id}" for task_id in task_ids]
    found = alternate(lambda: ours.rate(paths), lambda: reference.rate(values))
    used = f"{figure(ours.cpu_us())} µs, the bare route {figure(reference.cpu_us())} µs"
    name = f"GET /v1/tasks/{{id}}, {what}"
    return [
        at_least(name, found, reach=0.9, unit="requests/s", against="bare route, one Redis value"),
        noted(f"{name}: CPU of the process for each", used),
    ]


def _from_mongodb(stack: Stack, task_ids: Sequence[str]) -> Row:
    """Each id once, with no copies in Redis; the answers make them anew."""
    with Redis.from_url(stack.redis_url) as redis:
        redis.delete(*[KEY_PREFIX + task_id for task_id in task_ids])
    paths = [f"/v1/tasks/{task_id}" for task_id in task_ids]
    rate = _api(stack).rate(paths, count=len(paths))
    return noted("GET /v1/tasks/{id} without a copy: MongoDB", f"{figure(rate)} requests/s")


def _api(stack: Stack) -> Server:
    port = urlsplit(stack.api_url).port
    assert port is not None
    headers = JSON_HEADERS | {"Authorization": f"Bearer {stack.api_key}"}
    return Server(port, stack.pid("api"), headers)


def _ended(stack: Stack, client: Client) -> list[str]:
    """Ids of tasks of the default namespace."""
    namespace = client.namespaces.get(DEFAULT_NAME)["namespace_id"]
    mongo: MongoClient[Document] = MongoClient(stack.mongo_url, tz_aware=True)
    with mongo:
        tasks = mongo["waybill"]["tasks"]
        fill(tasks, [Share(namespace, 1.0)], READS_OF_MONGODB, until=datetime.now(UTC))
        rows = tasks.find({"status": {"$in": TERMINAL_VALUES}}, {"_id": 1}, limit=TASKS)
        return [row["_id"] for row in rows]


def _copy_bodies(stack: Stack, ours: Server, task_ids: Sequence[str]) -> None:
    """Stores our answers, which their ids name, as the values of the reference."""
    with (
        Redis.from_url(stack.redis_url) as redis,
        httpx.Client(base_url=stack.api_url, headers=ours.headers) as http,
    ):
        for task_id in task_ids:
            answer = http.get(f"/v1/tasks/{task_id}")
            if answer.status_code != 200 or answer.json()["task_id"] != task_id:
                raise AssertionError(f"{task_id} was answered with {answer.text}")
            redis.set(task_id, answer.content)


@contextmanager
def _bare_route(redis_url: str) -> Iterator[Server]:
    """The reference, in a process of its own."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "uvicorn", "bench.bare_route:app", "--no-access-log")
    where = ("--host", LOOPBACK, "--port", str(port), "--log-level", "warning")
    env = os.environ | {"BENCH_REDIS_URL": redis_url}
    with subprocess.Popen((*command, *where), cwd=ROOT, env=env) as process:
        try:
            poll(
                lambda: accepts(port),
                description="the bare route answers",
                within_s=READY_WITHIN_S,
            )
            yield Server(port, process.pid, JSON_HEADERS)
        finally:
            process.terminate()
