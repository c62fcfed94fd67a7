"""Deliveries on their way out, from rows that wait to a receiver on the loopback."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import bson
import pytest
from pymongo.database import Database

from app.database import Document, server_time
from app.deliveries.attempt import MAX_ATTEMPTS
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.mailbox import Release, Ring, Turn
from app.identity import new_id
from app.webhooks.channel import Channel
from app.webhooks.secret import make_key, write_secret
from tests.integration.deliveries import PostRoom, new_event, settings_for
from tests.receiver import HANGS, Receiver, Reply, receiving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def path() -> str:
    """A path of the receiver that no other test calls."""
    return f"/{new_id('path')}"


RoomMaker = Callable[..., PostRoom]


@pytest.fixture
def room_for(
    database: Database[Document], mongo_url: str, redis_url: str, receiver: Receiver
) -> Iterator[RoomMaker]:
    """Makes rooms whose deliveries may call the receiver, by further settings."""
    with ExitStack() as opened:

        def make(**others: object) -> PostRoom:
            settings = settings_for(database, mongo_url, redis_url, receiver.port, **others)
            room = PostRoom.open(settings)
            opened.callback(room.database.client.close)
            return room

        yield make


@pytest.fixture
def room(room_for: RoomMaker) -> PostRoom:
    return room_for()


def test_each_event_arrives_once_signed_and_in_order(
    room: PostRoom, receiver: Receiver, path: str, redis_url: str
) -> None:
    webhook_id, secret = room.webhook(receiver.url(path), headers={"X-Token": "hidden"})
    event_ids = room.deliver(webhook_id, 20, task_id=new_id("tsk"))
    webhook = room.post.webhooks.get(webhook_id, namespace_ids=None)
    newer = make_key()
    room.post.webhooks.rotate(webhook, newer, overlap=timedelta(hours=1))
    long = {"X-Answer": "K\xf6ln", **{f"X-{n}": "v" * 900 for n in range(40)}}
    receiver.reply(path, Reply(200, long, b"\xff" * 70_000), Reply(204))
    room.run(redis_url)
    arrived = receiver.received(path)
    assert [each.event_id for each in arrived] == event_ids
    for each in arrived:
        each.verify(secret)
        each.verify(write_secret(newer))
        assert each.headers["x-token"] == "hidden"
        assert each.headers["content-type"] == "application/json"
    rows = room.rows(webhook_id)
    assert {row["status"] for row in rows} == {"delivered"}
    assert all(len(row["attempts"]) == 1 and row["expire_at"] > row["ended_at"] for row in rows)
    log = rows[0]["attempts"][0]
    assert (log["number"], log["outcome"], log["status_code"]) == (1, "delivered", 200)
    assert log["worker"] == "test"
    assert log["started_at"] <= log["ended_at"]
    assert 64 * 1024 - 3 < len(log["response_body"].encode()) <= 64 * 1024
    assert len(bson.encode(log)) * MAX_ATTEMPTS < 15.5 * 2**20  # of 16 MB
    assert log["response_headers"]["x-answer"] == "K\ufffdln"  # it came as Latin-1
    assert log["request_headers"]["webhook-id"] == event_ids[0]
    assert log["request_headers"]["X-Token"] == "redacted"
    assert "webhook-signature" not in log["request_headers"]
    health = room.post.mailboxes.health([webhook_id])[webhook_id]
    assert health.last_success_at is not None
    assert health.consecutive_failures == 0


def test_a_failure_is_retried_by_the_schedule_and_the_last_one_is_a_dead_letter(
    room: PostRoom, receiver: Receiver, path: str, redis_url: str
) -> None:
    webhook_id, secret = room.webhook(receiver.url(path))
    receiver.reply(path, Reply(500), Reply(302, {"Location": "/elsewhere"}), Reply(204))
    (first,) = room.deliver(webhook_id)
    room.run(redis_url)
    receiver.reply(path, Reply(400, body=b"no"))
    (second,) = room.deliver(webhook_id)
    room.run(redis_url)
    arrived = receiver.received(path)
    assert [each.event_id for each in arrived] == [first] * 3 + [second] * 3
    assert len({each.body for each in arrived[:3]}) == 1
    for each in arrived:
        each.verify(secret)
    by_event = {row["event_id"]: row for row in room.rows(webhook_id)}
    outcomes = [(each["outcome"], each["status_code"]) for each in by_event[first]["attempts"]]
    assert outcomes == [("failed", 500), ("failed", 302), ("delivered", 204)]
    assert (by_event[first]["status"], by_event[second]["status"]) == ("delivered", "exhausted")
    assert by_event[second]["error"] == "The receiver answered 400, which is no 2xx."
    assert by_event[second]["attempts"][2]["error_kind"] == "status"
    assert receiver.received("/elsewhere") == []


def test_retry_after_pauses_the_endpoint(
    room: PostRoom, receiver: Receiver, path: str, redis_url: str
) -> None:
    webhook_id, _ = room.webhook(receiver.url(path))
    receiver.reply(path, Reply(429, {"Retry-After": "3600"}))
    room.deliver(webhook_id, 3)
    room.run(redis_url)
    room.deliver(webhook_id, 2)
    room.run(redis_url)
    assert len(receiver.received(path)) == 1
    assert room.statuses(webhook_id) == ["pending"] * 5
    now = server_time(room.database)
    paused_until = room.post.mailboxes.health([webhook_id])[webhook_id].paused_until
    assert paused_until is not None
    assert timedelta(minutes=55) < paused_until - now <= timedelta(hours=1)
    tried = next(row for row in room.rows(webhook_id) if row["attempts"])
    assert tried["due_at"] - now > timedelta(minutes=55)
    room.post.mailboxes.reset(webhook_id)
    receiver.reply(path, Reply())
    room.run(redis_url)
    assert sorted(room.statuses(webhook_id)) == ["delivered"] * 4 + ["pending"]


def test_gone_disables_the_endpoint_and_what_waits_is_skipped(
    room: PostRoom, receiver: Receiver, path: str, redis_url: str
) -> None:
    webhook_id, _ = room.webhook(receiver.url(path))
    receiver.reply(path, Reply(410))
    room.deliver(webhook_id, 5)
    room.run(redis_url)
    assert len(receiver.received(path)) == 1
    assert sorted(room.statuses(webhook_id)) == ["exhausted"] + ["skipped"] * 4
    webhook = room.post.webhooks.get(webhook_id, namespace_ids=None)
    assert webhook.disabled is not None
    assert "410" in webhook.disabled.reason
    room.deliver(webhook_id, 2)
    room.run(redis_url)
    assert sorted(room.statuses(webhook_id)) == ["exhausted"] + ["skipped"] * 6


def test_an_endpoint_that_fails_for_too_long_is_disabled(
    room_for: RoomMaker, receiver: Receiver, path: str, redis_url: str
) -> None:
    room = room_for(webhook_disable_after_days=1e-9, webhook_retry_delays_s="0,0,0,0,0")
    webhook_id, _ = room.webhook(receiver.url(path))
    receiver.reply(path, Reply(500))
    room.deliver(webhook_id, 3)
    room.run(redis_url)
    webhook = room.post.webhooks.get(webhook_id, namespace_ids=None)
    assert webhook.disabled is not None
    assert webhook.disabled.reason.startswith("Each attempt since ")
    assert set(room.statuses(webhook_id)) == {"skipped"}


def test_one_endpoint_that_hangs_holds_up_nobody_else(
    room_for: RoomMaker, receiver: Receiver, path: str, redis_url: str
) -> None:
    room = room_for(webhook_timeout_s=3.0, webhook_in_flight=10)
    hanging, _ = room.webhook(receiver.url(path))
    receiver.reply(path, Reply(HANGS))
    room.deliver(hanging, 40)
    paths = [f"{path}/{number}" for number in range(9)]
    healthy = [room.webhook(receiver.url(each))[0] for each in paths]
    for webhook_id in healthy:
        room.deliver(webhook_id, 20)

    def is_served() -> bool:
        return all(len(receiver.received(each)) == 20 for each in paths)

    room.run(redis_url, until=is_served)
    # A shared queue would have sent all of these before the first of the others.
    assert len(receiver.received(path)) <= 4
    assert [set(room.statuses(each)) for each in healthy] == [{"delivered"}] * 9
    assert set(room.statuses(hanging)) <= {"pending", "sending"}
    assert room.database["mailboxes"].count_documents({"turn": {"$exists": True}}) == 0


def test_attempts_of_a_lost_dispatcher_are_unknown_and_sent_again(
    room: PostRoom, receiver: Receiver, path: str, redis_url: str
) -> None:
    webhook_id, _ = room.webhook(receiver.url(path))
    event_ids = room.deliver(webhook_id, 3, task_id=new_id("tsk"))
    post = room.post
    lost = Turn(new_id("turn"), "lost", timedelta(seconds=-1))
    assert post.mailboxes.take(lost, limit=9, channels=[Channel.WEBHOOK])
    now = server_time(room.database)
    rows = post.deliveries.due(webhook_id, now=now, limit=1)
    (begun,) = post.deliveries.begin(rows, lost, at=now)
    assert post.deliveries.begin(rows, lost, at=now) == [begun]
    room.run(redis_url)
    assert [each.event_id for each in receiver.received(path)] == event_ids
    log = room.rows(webhook_id)[0]["attempts"]
    assert [(each["number"], each["outcome"], each["worker"]) for each in log] == [
        (1, "unknown", "lost"),
        (2, "delivered", "test"),
    ]
    assert room.rows(webhook_id)[0]["round_attempts"] == 1


def test_a_turn_is_one_dispatchers_and_a_ring_during_it_is_heard(room: PostRoom) -> None:
    mailboxes, now = room.post.mailboxes, server_time(room.database)
    mailboxes.ring([Ring("wh_1", Channel.WEBHOOK, now)])
    mine = Turn("mine", "a", timedelta(minutes=1))
    other = Turn("other", "b", timedelta(minutes=1))
    (held,) = mailboxes.take(mine, limit=9, channels=[Channel.WEBHOOK])
    assert mailboxes.take(other, limit=9, channels=[Channel.WEBHOOK]) == []
    assert mailboxes.held(mine) == {"wh_1": 1}
    mailboxes.ring([Ring("wh_1", Channel.WEBHOOK, now)])
    release = Release("wh_1", held.rings, None, held.health)
    mailboxes.release(other, [release])
    assert mailboxes.held(mine) == {"wh_1": 2}
    mailboxes.release(mine, [release])
    (again,) = mailboxes.take(other, limit=9, channels=[Channel.WEBHOOK])
    mailboxes.release(other, [Release("wh_1", again.rings, None, again.health)])
    assert mailboxes.take(mine, limit=9, channels=[Channel.WEBHOOK]) == []


def test_a_callback_of_a_deleted_namespace_is_not_sent(
    room: PostRoom, receiver: Receiver, path: str, redis_url: str
) -> None:
    """Its secret is deleted as well: nobody could verify what is signed with another."""
    at = server_time(room.database)
    event = new_event(at, None, 0)
    target = Target("callback:test", Channel.CALLBACK, url=receiver.url(path))
    room.post.deliveries.add([new_delivery(event, event.to_bytes(), target, at=at)])
    room.post.mailboxes.ring([Ring(target.mailbox_id, target.channel, at)])
    room.run(redis_url)
    (row,) = room.database["deliveries"].find()
    assert (row["status"], row["attempts"]) == ("skipped", [])
    assert receiver.received(path) == []
