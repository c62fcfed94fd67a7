"""Events of a running stack, from a job's end to a receiver that verifies them."""

import json
import secrets
from typing import Any

import pytest
from redis import Redis

from app.receipts.nudge import KEY as NUDGE_KEY
from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.receiver import Received, Receiver, Reply
from tests.stack import Stack
from waybill import ApiError, Client
from waybill.types import Delivery, WholeDelivery
from waybill.webhooks import verify

pytestmark = pytest.mark.timeout(120)

WITHIN_S = 60.0
RUN = ("task.created", "task.started", "task.completed")
STORED = "objects.created.batch"
WRITTEN = "collection.documents.written"


def heard(receiver: Receiver, path: str, count: int) -> list[Received]:
    """All that came to the path, once it is as many, those that were repeated counted again."""

    def arrived() -> list[Received] | None:
        found = receiver.received(path)
        return found if len(found) >= count else None

    return poll(arrived, description=f"{count} deliveries to {path}", within_s=WITHIN_S)


def events(received: list[Received]) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in received]


def log_of(client: Client, path: str) -> list[Delivery] | None:
    """The log of the path's webhook, once all in it is delivered."""
    log = list(client.webhooks.deliveries(path[1:]))
    return log if all(each["status"] == "delivered" for each in log) else None


def subscribe(client: Client, receiver: Receiver, *event_types: str) -> tuple[str, str]:
    """The path of a new webhook, which has its name, and its secret."""
    path = f"/{secrets.token_hex(6)}"
    webhook = client.webhooks.create(path[1:], receiver.url(path), event_types)
    return path, webhook["channels"][0]["configs"]["signing_secret"]


def test_a_batch_is_told_of_from_its_receipt_to_its_documents(
    shop: Shop, receiver: Receiver
) -> None:
    path, secret = subscribe(shop.client, receiver, *RUN, STORED, WRITTEN)
    receiver.reply(path, Reply(503), Reply())  # the first attempt of all fails
    ids = shop.add([text_object("one"), text_object("two")])
    _, task = shop.process(ids)
    received = heard(receiver, path, 6)
    for each in received:
        each.verify(secret)
        assert verify(each.body, each.headers, secret) == json.loads(each.body)
    first, again = [each for each in received if each.event_id == received[0].event_id]
    assert first.body == again.body

    told = {event["event_id"]: event for event in events(received)}.values()
    of_task = [
        event for event in told if event["subject"] == {"type": "task", "id": task["task_id"]}
    ]
    by_sequence = sorted(of_task, key=lambda event: event["metadata"]["sequence"])
    assert [event["type"] for event in by_sequence] == list(RUN)
    (stored,) = [event for event in told if event["type"] == STORED]
    assert stored["metadata"]["object_ids"] == ids
    (written,) = [event for event in told if event["type"] == WRITTEN]
    assert written["subject"]["id"] == shop.collection_id
    assert written["cache_scope"]["collection_id"] == shop.collection_id

    log = poll(
        lambda: log_of(shop.client, path),
        description="the last answer is in the log",
        within_s=WITHIN_S,
    )
    assert {each["event_id"] for each in log} == {each.event_id for each in received}
    assert sum(each["attempt_count"] for each in log) == len(receiver.received(path))


def test_a_task_calls_back_once_when_it_has_ended(
    stack: Stack, client: Client, receiver: Receiver
) -> None:
    path = f"/{secrets.token_hex(6)}"
    task = client.tasks.submit("test_idle", [], webhook_url=receiver.url(path))
    (received,) = heard(receiver, path, 1)
    secret = client.webhooks.callback_secret()["signing_secret"]
    received.verify(secret)
    (event,) = events([received])
    assert (event["type"], event["subject"]["id"]) == ("task.skipped", task["task_id"])

    def delivered() -> WholeDelivery | None:
        found = client.tasks.callback(task["task_id"])
        return found if found["status"] == "delivered" else None

    sent = poll(delivered, description="the answer is in the log", within_s=WITHIN_S)
    assert (sent["event_id"], sent["url"]) == (received.event_id, receiver.url(path))
    client.tasks.replay_callback(task["task_id"])
    again = heard(receiver, path, 2)[1]
    again.verify(secret)
    assert (again.event_id, again.body) == (received.event_id, received.body)
    with (
        Client(stack.api_url, stack.api_key) as elsewhere,
        pytest.raises(ApiError, match="no callback of a task") as refused,
    ):
        elsewhere.tasks.callback(task["task_id"])
    assert refused.value.status == 404


def test_without_any_nudge_the_sweep_tells(
    stack: Stack, client: Client, receiver: Receiver
) -> None:
    path, secret = subscribe(client, receiver, "task.skipped")
    with Redis.from_url(stack.redis_url) as redis:
        redis.set(NUDGE_KEY, 1, ex=600)  # as if messages had been sent, and lost
        task = client.tasks.submit("test_idle", [])
        (received,) = heard(receiver, path, 1)
    received.verify(secret)
    assert events([received])[0]["subject"]["id"] == task["task_id"]
