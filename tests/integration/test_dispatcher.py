"""Dispatchers at once, and what tasks named to be called back."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from threading import Lock

import pytest
from pymongo.database import Database
from redis import Redis

from app.database import Document, server_time
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.expansion import callback_mailbox
from app.deliveries.mailbox import Ring
from app.webhooks.channel import Channel
from tests.integration.deliveries import NAMESPACE, PostRoom, new_event, settings_for
from tests.receiver import Receiver, receiving
from waybill.webhooks import verify
from workers.delivery.run import Runner

PATHS = [f"/{number}" for number in range(5)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def room(
    database: Database[Document], mongo_url: str, redis_url: str, receiver: Receiver
) -> Iterator[PostRoom]:
    """Its dispatchers have two turns at most."""
    limits = {"webhook_in_flight": 1, "webhook_in_flight_each": 1}
    settings = settings_for(database, mongo_url, redis_url, receiver.port, **limits)
    room = PostRoom.open(settings)
    with closing(room.database.client):
        yield room


def test_two_dispatchers_share_what_waits_and_nobody_gets_anything_twice(
    room: PostRoom, receiver: Receiver, redis_url: str
) -> None:
    webhooks = {path: room.webhook(receiver.url(path))[0] for path in PATHS}
    event_ids = {path: room.deliver(webhook_id, 3) for path, webhook_id in webhooks.items()}
    first, busy, answered = Lock(), list[str](), list[int]()
    with Redis.from_url(redis_url) as redis:
        office = room.office(redis)

        def send_the_others() -> None:
            """While the first request is answered, another dispatcher sends all that it may."""
            if first.acquire(blocking=False):
                busy.extend(path for path in PATHS if receiver.received(path))
                Runner(replace(office, worker="other")).run(lambda: False)
                answered.extend(len(receiver.received(path)) for path in busy)

        receiver.on_request = send_the_others
        Runner(office).run(lambda: False)
    assert answered == [1]  # the other sent nothing to whom the first was sending
    workers = Counter[str]()
    for path, webhook_id in webhooks.items():
        arrived = [each.event_id for each in receiver.received(path)]
        assert sorted(arrived) == sorted(event_ids[path])
        rows = room.rows(webhook_id)
        assert {row["status"] for row in rows} == {"delivered"}
        workers.update(each["worker"] for row in rows for each in row["attempts"])
    assert workers.keys() == {"test", "other"}
    assert workers.total() == 3 * len(PATHS)
    assert workers["other"] >= 3 * (len(PATHS) - 2)


def test_callbacks_to_one_server_are_signed_with_the_secret_of_their_namespace(
    room: PostRoom, receiver: Receiver, redis_url: str
) -> None:
    post, at = room.post, server_time(room.database)
    secret = post.callback_secrets.reveal(post.callback_secrets.ring(NAMESPACE))
    urls = [receiver.url(path) for path in PATHS]
    mailbox_id = callback_mailbox(NAMESPACE, urls[0])
    for url in urls:
        event = new_event(at, None, 1)
        target = Target(mailbox_id, Channel.CALLBACK, url=url)
        post.deliveries.add([new_delivery(event, event.to_bytes(), target, at=at)])
    post.mailboxes.ring([Ring(mailbox_id, Channel.CALLBACK, at)])
    room.run(redis_url)
    for path in PATHS:
        (received,) = receiver.received(path)
        assert verify(received.body, received.headers, secret)["event_id"] == received.event_id
