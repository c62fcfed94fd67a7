"""Tasks a second that are submitted: the client's bulk call, and plain Celery's `apply_async`.

Ours goes from a client in one process through HTTP, a thousand tasks a call, into the API of
`waybill up`: checked, stored in MongoDB by the majority, copied to Redis, and sent to the broker
with a `task-sent` event each. The reference sends as many messages to the same Valkey, in a loop on
one connection, its results kept there, too. Both have one short input, and no worker takes any of
them meanwhile; after each round all receipts and messages are counted.
"""

import time
from collections.abc import Callable
from typing import Final

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from redis import Redis

from app.database import Document
from bench.noop.plain import QUEUE as PLAIN_QUEUE
from bench.noop.plain_app import app as plain_app
from bench.noop.plain_app import noop
from bench.rounds import alternate
from bench.row import Row, at_least
from bench.stack import bench_stack
from bench.waiting_job import NAME, QUEUE
from tests.polling import poll
from waybill import Client

TASKS: Final = 6_000
REACH: Final = 1.0
INPUT: Final = "file:///pictures/1.png"
REGISTERED_WITHIN_S: Final = 60.0


def rows(tasks: int = TASKS) -> list[Row]:
    """One row: so many tasks in each round of each."""
    with (
        bench_stack(imports="bench.waiting_job") as (stack, client),
        MongoClient[Document](stack.mongo_url) as mongo,
        Redis.from_url(stack.redis_url) as redis,
    ):
        plain_app.conf.update(broker_url=stack.redis_url, result_backend=stack.redis_url)
        poll(
            lambda: _is_registered(client),
            description=f"a worker serves {NAME}",
            within_s=REGISTERED_WITHIN_S,
        )
        stored = _counter(mongo)
        found = alternate(
            lambda: _ours(client, stored, redis, tasks), lambda: _reference(redis, tasks)
        )
    return [
        at_least(
            f"submissions, {tasks:,} by the client's bulk call",
            found,
            reach=REACH,
            unit="tasks/s",
            against="plain Celery, apply_async in a loop",
        )
    ]


def _ours(client: Client, stored: Callable[[], int], redis: Redis, tasks: int) -> float:
    before, waiting = stored(), redis.llen(QUEUE)
    began_s = time.perf_counter()
    answer = client.tasks.submit_many([{"task_type": NAME, "inputs": [INPUT]}] * tasks)
    seconds = time.perf_counter() - began_s
    counts = (answer["succeeded_count"], stored() - before)
    sent = redis.llen(QUEUE) - waiting
    # The republisher may send some of an earlier round again: receipts are stored before they are
    # sent, so that at any moment more of them wait than messages do.
    if counts != (tasks, tasks) or sent < tasks:
        raise AssertionError(f"{tasks:,} tasks: {counts} accepted and stored, {sent:,} sent")
    return tasks / seconds


def _reference(redis: Redis, tasks: int) -> float:
    waiting = redis.llen(PLAIN_QUEUE)
    began_s = time.perf_counter()
    with plain_app.producer_or_acquire() as producer:
        for _ in range(tasks):
            noop.apply_async(args=(INPUT,), producer=producer)
    seconds = time.perf_counter() - began_s
    sent = redis.llen(PLAIN_QUEUE) - waiting
    if sent != tasks:
        raise AssertionError(f"{tasks:,} messages: {sent:,} are on the queue")
    return tasks / seconds


def _counter(mongo: MongoClient[Document]) -> Callable[[], int]:
    """Counts the receipts that the majority has."""
    receipts = mongo["waybill"].get_collection("tasks", read_concern=ReadConcern("majority"))
    return lambda: receipts.count_documents({"queue": QUEUE, "status": "PENDING"})


def _is_registered(client: Client) -> bool:
    answer = client.tasks.submit_many([{"task_type": NAME, "inputs": []}])
    return answer["succeeded_count"] == 1
