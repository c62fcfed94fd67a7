"""Servers that go away in the middle of a batch: nothing is lost and nothing is done twice."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis

from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.stack import Stack
from waybill import ApiError, Client
from waybill.flow.polling import TERMINAL
from waybill.types import JsonObject, Task

pytestmark = pytest.mark.timeout(300)

OBJECTS = 1_500
LONG_TEXT = " ".join(f"word{n}" for n in range(2_000))


def start_batch(shop: Shop) -> tuple[list[str], Task]:
    """A batch that takes a while, with some of it done."""
    ids = shop.add(text_object(f"{n} {LONG_TEXT}") for n in range(OBJECTS))
    task = shop.submit(shop.batch(ids))
    poll(
        lambda: done_of(shop, task) > 0,
        description="some of the batch is done",
        within_s=60,
    )
    assert shop.client.tasks.get(task["task_id"])["status"] == "PROCESSING"
    return ids, task


def done_of(shop: Shop, task: Task) -> int:
    progress = shop.client.tasks.get(task["task_id"])["progress"]
    return 0 if progress is None else progress["done"]


def assert_all_once(shop: Shop, ids: list[str]) -> None:
    counted = Counter(document["object_id"] for document in shop.documents())
    assert counted == Counter(ids)


def test_flushall_in_the_middle_of_a_batch(shop: Shop, stack: Stack) -> None:
    ids, task = start_batch(shop)
    with redis.Redis.from_url(stack.redis_url) as broker:
        broker.flushall()
    receipt = shop.ended(task)
    assert receipt["status"] == "COMPLETED"
    assert receipt["outputs"][0]["succeeded"] == OBJECTS
    assert_all_once(shop, ids)


def test_mongodb_restarts_in_the_middle_of_a_batch(shop: Shop, stack: Stack) -> None:
    ids, task = start_batch(shop)
    stack.kill("mongo")
    receipt = ended_despite_outage(shop, task)
    assert receipt["status"] == "COMPLETED"
    assert_all_once(shop, ids)


def test_a_worker_that_is_killed_in_the_middle_of_a_batch(shop: Shop, stack: Stack) -> None:
    ids, task = start_batch(shop)
    os.killpg(stack.pid("worker"), signal.SIGKILL)
    receipt = shop.ended(task)
    assert receipt["status"] == "COMPLETED"
    assert_all_once(shop, ids)


def test_a_submit_without_a_broker_is_answered_and_the_work_starts_later(
    shop: Shop, stack: Stack
) -> None:
    batch = shop.batch(shop.add([text_object("one")]))
    os.kill(stack.pid("redis"), signal.SIGSTOP)
    task = shop.submit(batch)
    assert task["status"] == "PENDING"
    assert shop.client.tasks.get(task["task_id"])["additional_data"]["from_mongodb"] is True
    stack.kill("redis")
    assert shop.ended(task)["status"] == "COMPLETED"


def test_a_submit_without_mongodb_is_refused_and_stores_nothing(shop: Shop, stack: Stack) -> None:
    batch = shop.batch(shop.add([text_object("one")]))
    one = {"task_type": "test_idle"}
    calls = [
        ("/v1/tasks/submit", {"tasks": [one]}),
        ("/v1/tasks/submit", {"tasks": [one] * 50}),
        (f"{shop.path(batch)}/submit", {}),
    ]
    once = Client(stack.api_url, stack.api_key, namespace=batch["namespace_id"], max_tries=1)
    with once, without_mongodb(stack), ThreadPoolExecutor(len(calls)) as pool:
        errors = [pool.submit(refusal, once, path, body) for path, body in calls]
        refusals = [error.result() for error in errors]
    assert [error.status for error in refusals] == [503] * len(calls)
    assert {error.type for error in refusals} == {"ServiceUnavailableError"}
    poll(lambda: answers(shop), description="the API answers again", within_s=120)
    assert list(shop.client.tasks.list()) == []
    assert shop.client.batches.get(batch["batch_id"])["status"] == "DRAFT"
    assert shop.ended(shop.submit(batch))["status"] == "COMPLETED"


def test_a_batch_that_is_canceled_stops_and_keeps_what_was_written(shop: Shop) -> None:
    ids, task = start_batch(shop)
    batch_id = task["inputs"][0]
    canceled = shop.client.batches.cancel(shop.bucket_id, batch_id, reason="wrong one")
    assert canceled["task_id"] == task["task_id"]
    receipt = shop.ended(task)
    assert receipt["status"] == "CANCELED"
    batch = shop.client.batches.get(batch_id)
    assert batch["status"] == "CANCELED"
    written = len(shop.documents())
    assert 0 < written < OBJECTS
    children = shop.client.tasks.list(parent_task_id=task["task_id"])
    assert {child["status"] for child in children} <= TERMINAL
    again = shop.client.batches.retry(shop.bucket_id, batch_id)
    assert shop.ended(again)["status"] == "COMPLETED"
    assert_all_once(shop, ids)


def ended_despite_outage(shop: Shop, task: Task) -> Task:
    """The receipt at the end; reads may be refused with 503 while MongoDB is away."""

    def look() -> Task | None:
        try:
            found = shop.client.tasks.get(task["task_id"])
        except ApiError as exc:
            if exc.status != 503:
                raise
            return None
        return found if found["status"] in TERMINAL else None

    return poll(look, description="the task has ended", within_s=120)


@contextmanager
def without_mongodb(stack: Stack) -> Iterator[None]:
    """MongoDB is down within the block: whoever would start it again is frozen."""
    stack.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(stack.pid("mongo"), signal.SIGKILL)
        yield
    finally:
        stack.process.send_signal(signal.SIGCONT)


def refusal(client: Client, path: str, body: JsonObject) -> ApiError:
    """What the API says to a request that it cannot serve."""
    with pytest.raises(ApiError) as refused:
        client.request("POST", path, body)
    return refused.value


def answers(shop: Shop) -> bool:
    """Whether a read of MongoDB is served."""
    try:
        shop.client.buckets.get(shop.bucket_id)
    except ApiError as exc:
        if exc.status != 503:
            raise
        return False
    return True
