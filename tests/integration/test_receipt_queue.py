"""Messages come and go, receipts stay: what is sent, sent again, and never sent twice over."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError
from pymongo.database import Database
from redis import Redis

from app.database import Document
from app.embedded.server import running
from app.receipts.ledger import Ledger
from app.receipts.publisher import SENT_AT_ONCE
from app.receipts.queue import SENT_PER_SWEEP
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move
from tests.integration.message import lose, sent, sent_task
from tests.integration.receipts import (
    COMPLETED,
    claim,
    create,
    new_task,
    opened,
    own_valkey,
    stored,
)
from tests.polling import poll

TOLD_WITHIN_S = 20.0
BACK = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1")


def submit(ledger: Ledger, queue: str, count: int) -> list[Receipt]:
    return ledger.submission.submit([new_task(queue=queue) for _ in range(count)])


def test_a_submitted_task_has_one_message_with_its_id_only(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    receipts = submit(ledger, queue, 3)
    assert sent(broker, queue) == [receipt.task_id for receipt in receipts]
    assert ledger.publisher.depth(queue) == 3
    secret = new_task(queue=queue, inputs=["secret-input"], additional_data={"k": "secret-data"})
    ledger.submission.submit([secret])
    assert all("secret" not in str(raw) for raw in broker.lrange(queue, 0, -1))
    assert all(stored(ledger, receipt.task_id)["published_at"] for receipt in receipts)


def test_many_tasks_are_sent_in_order_each_with_its_event(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    with broker.pubsub(ignore_subscribe_messages=True) as events:  # type: ignore[no-untyped-call] # partly typed package
        events.psubscribe("*celeryev*")
        events.get_message(timeout=TOLD_WITHIN_S)  # the server has taken the subscription
        receipts = submit(ledger, queue, SENT_AT_ONCE + 1)
        told: list[str] = []

        def all_told() -> bool:
            while (message := events.get_message()) is not None:
                # Others publish on this broker, too.
                if task_id := sent_task(message["data"], queue):
                    told.append(task_id)
            return len(told) >= len(receipts)

        poll(all_told, description="each task has its event", within_s=TOLD_WITHIN_S)
    ids = [receipt.task_id for receipt in receipts]
    assert sent(broker, queue) == ids
    assert told == ids


def test_a_queue_that_is_merely_long_is_left_alone(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    submit(ledger, queue, 40)
    for _ in range(3):
        assert ledger.queue.republish(ledger.publisher) == 0
    assert len(sent(broker, queue)) == 40


def test_what_was_never_sent_is_sent_once(ledger: Ledger, broker: Redis, queue: str) -> None:
    receipts = [create(ledger, queue=queue) for _ in range(5)]
    unsent = [receipt.task_id for receipt in receipts[:3]]
    for receipt in receipts[3:]:
        assert ledger.publisher.publish(receipt)
    ledger.queue.mark_unpublished(unsent)
    assert ledger.queue.republish(ledger.publisher) == 3
    assert sorted(sent(broker, queue)) == sorted(receipt.task_id for receipt in receipts)
    assert ledger.queue.republish(ledger.publisher) == 0


@pytest.mark.parametrize("lost", [1, 7, 20])
def test_as_many_as_were_lost_are_sent_again_oldest_first(
    ledger: Ledger, broker: Redis, queue: str, lost: int
) -> None:
    receipts = submit(ledger, queue, 20)
    gone = lose(broker, queue, lost)
    assert gone == [receipt.task_id for receipt in receipts[:lost]]
    poll(
        lambda: ledger.queue.republish(ledger.publisher) == lost,
        description="the lost messages count as old enough",
        within_s=5,
    )
    assert sorted(sent(broker, queue)) == sorted(receipt.task_id for receipt in receipts)
    assert ledger.queue.republish(ledger.publisher) == 0


def test_a_message_on_its_way_is_not_lost_yet(
    database: Database[Document], redis_url: str, broker: Redis, queue: str
) -> None:
    with opened(database, redis_url, lost_after=timedelta(hours=1)) as ledger:
        submit(ledger, queue, 5)
        lose(broker, queue, 5)
        assert ledger.queue.republish(ledger.publisher) == 0
        assert sent(broker, queue) == []
        age = {"$subtract": ["$published_at", 3_700_000]}
        ledger.receipts.tasks.update_many({"queue": queue}, [{"$set": {"published_at": age}}])
        assert ledger.queue.republish(ledger.publisher) == 5
        assert ledger.queue.republish(ledger.publisher) == 0


def test_a_submission_that_is_being_sent_has_no_other_task_sent_twice(
    database: Database[Document], redis_url: str, broker: Redis, queue: str
) -> None:
    with opened(database, redis_url, lost_after=timedelta(hours=1)) as ledger:
        submit(ledger, queue, 20)
        age = {"$subtract": ["$published_at", 3_700_000]}
        ledger.receipts.tasks.update_many({"queue": queue}, [{"$set": {"published_at": age}}])
        stored_only = ledger.receipts.create([new_task(queue=queue)] * 7)
        assert ledger.queue.republish(ledger.publisher) == 0
        assert ledger.publisher.publish_all(stored_only) == []
        assert ledger.queue.republish(ledger.publisher) == 0
        gone = lose(broker, queue, 2)
        assert ledger.queue.republish(ledger.publisher) == 0
        ledger.receipts.create([new_task(queue=queue)] * 7)
        assert ledger.queue.republish(ledger.publisher) == 2
        assert sent(broker, queue)[-2:] == gone


def test_what_does_not_wait_is_not_sent(ledger: Ledger, broker: Redis, queue: str) -> None:
    done, by = claim(ledger, create(ledger, queue=queue))
    ledger.receipts.finish(done.task_id, by.token, COMPLETED, worker=by.worker)
    claim(ledger, create(ledger, queue=queue))
    canceled = create(ledger, queue=queue)
    ledger.cancellations.request(canceled.task_id, actor="key:ops", reason=None)
    ledger.cancellations.apply(canceled.task_id)
    before = [stored(ledger, done.task_id), stored(ledger, canceled.task_id)]
    ledger.queue.mark_unpublished([done.task_id, canceled.task_id])
    assert ledger.queue.republish(ledger.publisher) == 0
    assert sent(broker, queue) == []
    assert [stored(ledger, done.task_id), stored(ledger, canceled.task_id)] == before


def test_a_task_given_back_is_sent_when_it_is_due_and_not_before(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    for delay, messages in [(timedelta(hours=1), 0), (timedelta(0), 1)]:
        receipt, by = claim(ledger, create(ledger, queue=queue))
        guard = {"lease.token": by.token}
        ledger.receipts.requeue(receipt.task_id, BACK, guard=guard, delay=delay)
        poll(
            lambda expected=messages: ledger.queue.republish(ledger.publisher) == expected,  # type: ignore[misc]
            description="what is due is sent",
            within_s=5,
        )
        assert sent(broker, queue) == [receipt.task_id] * messages


def test_each_queue_is_counted_by_itself(ledger: Ledger, broker: Redis, queue: str) -> None:
    other = f"{queue}.other"
    submit(ledger, queue, 10)
    lost = submit(ledger, other, 4)
    lose(broker, other, 3)
    poll(
        lambda: ledger.queue.republish(ledger.publisher) == 3,
        description="the lost messages count as old enough",
        within_s=5,
    )
    assert len(sent(broker, queue)) == 10
    assert sorted(sent(broker, other)) == sorted(receipt.task_id for receipt in lost)


def test_a_flush_of_the_broker_loses_no_task(ledger: Ledger, broker: Redis, queue: str) -> None:
    receipts = submit(ledger, queue, 10)
    broker.flushall()
    # More than one sweep sends.
    receipts += ledger.receipts.create([new_task(queue=queue)] * (SENT_PER_SWEEP + 1))
    republished: set[str] = set()

    def all_sent() -> bool:
        ledger.queue.republish(ledger.publisher)
        republished.update(sent(broker, queue))
        return len(republished) == len(receipts)

    poll(all_sent, description="every task has a message again", within_s=20)
    assert ledger.publisher.depth(queue) == len(receipts)


def test_a_broker_that_is_down_costs_a_delay_and_no_receipt(
    database: Database[Document], tmp_path: Path, queue: str
) -> None:
    layout, valkey = own_valkey(tmp_path)
    with opened(database, valkey.url) as ledger:
        with running(layout, [valkey]):
            submit(ledger, queue, 1)
        # It is down now, and its data is lost.
        shutil.rmtree(layout.data_dir / "redis")
        receipts = submit(ledger, queue, 4)
        assert [receipt.status for receipt in receipts] == ["PENDING"] * 4
        for receipt in receipts:
            assert stored(ledger, receipt.task_id)["published_at"] is None
        with pytest.raises(OperationalError):
            ledger.queue.republish(ledger.publisher)
        for receipt in receipts:
            assert stored(ledger, receipt.task_id)["published_at"] is None
        assert ledger.receipts.get(receipts[0].task_id).version == 1
        with running(layout, [valkey]), Redis.from_url(valkey.url) as broker:
            every = ledger.receipts.tasks.distinct("_id")
            assert len(every) == 5

            def all_sent() -> bool:
                ledger.queue.republish(ledger.publisher)
                return sorted(sent(broker, queue)) == sorted(every)

            poll(all_sent, description="every task has its message", within_s=20)
            assert ledger.queue.republish(ledger.publisher) == 0


def test_a_waiting_task_knows_its_place(ledger: Ledger, queue: str) -> None:
    create(ledger, queue=f"{queue}.other")
    receipts = [create(ledger, queue=queue) for _ in range(3)]
    places = [ledger.queue.place(receipt) for receipt in receipts]
    assert [place.position for place in places] == [1, 2, 3]
    assert [place.wait_minutes for place in places] == [None, None, None]
    first, by = claim(ledger, receipts[0])
    assert ledger.queue.place(first).position is None
    ledger.receipts.finish(first.task_id, by.token, COMPLETED, worker=by.worker)
    places = [ledger.queue.place(ledger.receipts.get(each.task_id)) for each in receipts]
    assert [place.position for place in places] == [None, 1, 2]
    waits = [place.wait_minutes for place in places]
    assert waits[0] is None
    assert waits[1] is not None
    assert waits[2] is not None
    assert 0 < waits[1] < waits[2]


def test_only_what_ended_lately_tells_how_long_a_task_waits(ledger: Ledger, queue: str) -> None:
    """However long it has waited: what ended at its beginning says nothing of the pace now."""
    ended, waiting = submit(ledger, queue, 2)
    _, by = claim(ledger, ended)
    ledger.receipts.finish(ended.task_id, by.token, COMPLETED, worker=by.worker)
    assert ledger.queue.place(waiting).wait_minutes is not None
    times = ("created_at", "updated_at", "ended_at")
    an_hour_ago = {name: {"$add": [f"${name}", -3_600_000]} for name in times}
    ledger.receipts.tasks.update_many({"queue": queue}, [{"$set": an_hour_ago}])
    assert ledger.queue.place(ledger.receipts.get(waiting.task_id)).wait_minutes is None


def test_tasks_of_one_bulk_submission_have_places_of_their_own(ledger: Ledger, queue: str) -> None:
    receipts = submit(ledger, queue, 5)
    places = [ledger.queue.place(ledger.receipts.get(each.task_id)) for each in receipts]
    assert [place.position for place in places] == [1, 2, 3, 4, 5]


def test_a_message_that_was_stamped_by_a_clock_ahead_is_sent_again(
    database: Database[Document], redis_url: str, broker: Redis, queue: str
) -> None:
    with opened(database, redis_url, lost_after=timedelta(hours=1)) as ledger:
        submit(ledger, queue, 2)
        lose(broker, queue, 2)
        ahead = {"$add": ["$published_at", 3_600_000]}
        ledger.receipts.tasks.update_many({"queue": queue}, [{"$set": {"published_at": ahead}}])
        assert ledger.queue.republish(ledger.publisher) == 0  # they may be on their way
        assert ledger.queue.republish(ledger.publisher) == 2
        assert ledger.queue.republish(ledger.publisher) == 0
