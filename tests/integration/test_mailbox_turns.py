"""Turns that end while something is under way: whatever waits then is looked for by somebody."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from pymongo.database import Database
from redis import Redis

from app.database import Document, server_time
from app.deliveries.attempt import Result
from app.deliveries.delivery import ErrorKind, Stage
from app.deliveries.mailbox import Release, Ring, Turn
from app.deliveries.retry import Verdict
from app.deliveries.store import Ending
from app.identity import new_id
from app.webhooks.channel import Channel
from app.webhooks.endpoint import Registration
from tests.integration.deliveries import PostRoom, settings_for
from tests.polling import poll
from tests.receiver import Receiver, Reply, receiving
from workers.delivery.desk import Closure, Desk, Leaving, Room
from workers.delivery.run import Runner

LONG = timedelta(minutes=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def room(
    database: Database[Document], mongo_url: str, redis_url: str, receiver: Receiver
) -> Iterator[PostRoom]:
    room = PostRoom.open(settings_for(database, mongo_url, redis_url, receiver.port))
    yield room
    room.database.client.close()


def mailbox(room: PostRoom, webhook_id: str) -> Document:
    found = room.database["mailboxes"].find_one({"_id": webhook_id})
    assert found is not None
    return found


def looked_for_at(room: PostRoom, webhook_id: str) -> datetime:
    """When the next dispatcher looks at the mailbox, which nobody serves."""
    found = mailbox(room, webhook_id)
    assert "turn" not in found
    due_at = found["due_at"]
    assert isinstance(due_at, datetime)
    return due_at


def let_it_be_due(room: PostRoom, webhook_id: str) -> None:
    """So much time has passed; it was to be due at some time."""
    now = server_time(room.database)
    assert looked_for_at(room, webhook_id) <= now + LONG
    room.database["mailboxes"].update_one({"_id": webhook_id}, {"$set": {"due_at": now}})


def never() -> bool:
    return False


def test_a_failure_after_its_endpoint_was_opened_anew_is_retried(
    room: PostRoom, receiver: Receiver, redis_url: str
) -> None:
    """Its dispatcher has taken the mailbox again, found nothing due and given it back by then."""
    webhook_id, _ = room.webhook(receiver.url("/"))
    (event_id,) = room.deliver(webhook_id)
    receiver.reply("/", Reply(500), Reply())
    with Redis.from_url(redis_url) as redis:
        runner = Runner(room.office(redis))

        def is_given_back() -> bool:
            runner.run(never)  # it looks again
            found = mailbox(room, webhook_id)
            return "health" in found and "turn" not in found

        def open_anew() -> None:
            receiver.on_request = lambda: None
            room.post.mailboxes.reset(webhook_id)
            poll(is_given_back, description="the mailbox is given back", within_s=20)

        receiver.on_request = open_anew
        runner.run(never)
        assert room.statuses(webhook_id) == ["pending"]
        let_it_be_due(room, webhook_id)
        runner.run(never)
    assert [each.event_id for each in receiver.received("/")] == [event_id] * 2
    assert room.statuses(webhook_id) == ["delivered"]


@pytest.mark.parametrize("is_killed", [True, False])
def test_an_attempt_that_began_after_its_turn_was_lost_is_not_the_last(
    room: PostRoom, receiver: Receiver, redis_url: str, *, is_killed: bool
) -> None:
    """A process that stood still for longer than its lease goes on; then it dies, or fails."""
    deliveries = room.post.deliveries
    webhook_id, _ = room.webhook(receiver.url("/"))
    (event_id,) = room.deliver(webhook_id)
    late = Turn(new_id("turn"), "late", -LONG)
    assert room.post.mailboxes.take(late, limit=9, channels=[Channel.WEBHOOK])
    now = server_time(room.database)
    rows = deliveries.due(webhook_id, now=now, limit=9)
    with Redis.from_url(redis_url) as redis:
        other = desk(room, redis, Turn(new_id("turn"), "other", LONG))
        (taken,) = other.look(Room(9, 9)).taken
        (begun,) = deliveries.begin(rows, late, at=now)
        assert other.read(taken, now=now, limit=9).rows == ()
        assert other.leave([Leaving(taken, None)], now=now) is not None
        if not is_killed:
            failed = Result(error_kind=ErrorKind.CONNECT, error="It failed.")
            again = Verdict(Stage.PENDING, timedelta(0))
            deliveries.end([Ending(begun, failed, again, now)], late)
        let_it_be_due(room, webhook_id)
        Runner(room.office(redis)).run(never)
    assert [each.event_id for each in receiver.received("/")] == [event_id]
    outcomes = [each["outcome"] for each in room.rows(webhook_id)[0]["attempts"]]
    assert outcomes == ["unknown" if is_killed else "failed", "delivered"]


def test_what_waits_behind_a_pause_goes_once_the_endpoint_is_opened_anew(
    room: PostRoom, receiver: Receiver, redis_url: str
) -> None:
    webhook_id, _ = room.webhook(receiver.url("/"))
    receiver.reply("/", Reply(429, {"Retry-After": "3600"}), Reply())
    room.deliver(webhook_id, 3)
    room.run(redis_url)
    assert room.statuses(webhook_id) == ["pending"] * 3
    room.post.mailboxes.reset(webhook_id)
    let_it_be_due(room, webhook_id)
    room.run(redis_url)
    assert sorted(room.statuses(webhook_id)) == ["delivered"] * 2 + ["pending"]


def test_a_410_of_a_former_url_disables_nothing(
    room: PostRoom, receiver: Receiver, redis_url: str
) -> None:
    """Its owner has moved the endpoint, and what is left at the old place says that it is gone."""
    webhook_id, _ = room.webhook(receiver.url("/old"))
    receiver.reply("/old", Reply(410))
    before, after = room.deliver(webhook_id, 2, task_id=new_id("tsk"))
    receiver.on_request = lambda: move(room, webhook_id, receiver.url("/new"))
    room.run(redis_url)
    assert [each.event_id for each in receiver.received("/old")] == [before]
    assert room.post.webhooks.get(webhook_id, namespace_ids=None).is_open
    assert [each.event_id for each in receiver.received("/new")] == [after]
    assert room.statuses(webhook_id) == ["exhausted", "delivered"]


def test_a_verdict_of_a_turn_that_was_ended_disables_nothing(
    room: PostRoom, receiver: Receiver, redis_url: str
) -> None:
    """Its owner has opened the endpoint anew since."""
    webhook_id, _ = room.webhook(receiver.url("/"))
    room.deliver(webhook_id)
    with Redis.from_url(redis_url) as redis:
        late = desk(room, redis, Turn(new_id("turn"), "late", LONG))
        (taken,) = late.look(Room(9, 9)).taken
        room.post.mailboxes.reset(webhook_id)
        verdict = Closure("It answered 410.", receiver.url("/"))
        late.leave([Leaving(taken, verdict)], now=server_time(room.database))
        assert room.post.webhooks.get(webhook_id, namespace_ids=None).is_open
        assert room.statuses(webhook_id) == ["pending"]
        Runner(room.office(redis)).run(never)
    assert room.statuses(webhook_id) == ["delivered"]


def test_a_mailbox_in_which_something_waits_is_not_forgotten(room: PostRoom) -> None:
    """However long no dispatcher runs: MongoDB deletes what has the field for long enough."""
    mailboxes, now = room.post.mailboxes, server_time(room.database)
    indexes = room.database["mailboxes"].index_information().values()
    assert [index["key"] for index in indexes if "expireAfterSeconds" in index] == [
        [("touched_at", 1)]
    ]

    def is_kept() -> bool:
        return "touched_at" not in mailbox(room, "wh_1")

    def served(*, due_at: datetime | None, is_rung: bool = False) -> None:
        mailboxes.ring([Ring("wh_1", Channel.WEBHOOK, now)])
        assert is_kept()
        turn = Turn(new_id("turn"), "test", LONG)
        (taken,) = mailboxes.take(turn, limit=9, channels=[Channel.WEBHOOK])
        assert is_kept()
        if is_rung:
            mailboxes.ring([Ring("wh_1", Channel.WEBHOOK, now)])
        mailboxes.release(turn, [Release("wh_1", taken.rings, due_at, taken.health)])

    served(due_at=now + LONG)
    assert is_kept()
    served(due_at=None)
    assert not is_kept()
    served(due_at=None, is_rung=True)
    assert is_kept()
    served(due_at=None)
    mailboxes.reset("wh_1")
    assert is_kept()


def move(room: PostRoom, webhook_id: str, url: str) -> None:
    """The webhook has this URL from now on."""
    found = room.post.webhooks.get(webhook_id, namespace_ids=None)
    said = Registration(found.webhook_name, ["*"], url, {}, 30.0, True)
    room.post.webhooks.change(found, said, opens=True)


def desk(room: PostRoom, redis: Redis, turn: Turn) -> Desk:
    office = room.office(redis)
    return Desk(office.deliveries, office.mailboxes, office.book, office.source, turn)
