"""Quotas of namespaces: what has no room waits, what would wait beyond them is refused."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from pymongo.database import Database
from redis import Redis

from app.api.task import MAX_SUBMITTED
from app.database import Document
from app.errors import TooManyRequestsError
from app.receipts.family import FamilyStore
from app.receipts.ledger import Ledger
from app.receipts.quota import Quota
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Holder
from app.receipts.transition import Move
from tests.integration.message import lose, sent
from tests.integration.receipts import (
    COMPLETED,
    at_once,
    brief,
    claim,
    create,
    expired,
    holder,
    limit_tasks,
    new_task,
    opened,
    stored,
)
from tests.polling import poll

BACK = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1")


def submit(ledger: Ledger, count: int, queue: str = "test.jobs") -> list[Receipt]:
    return ledger.submission.submit([new_task(queue=queue)] * count)


def held(ledger: Ledger, receipts: Sequence[Receipt]) -> list[bool]:
    """Whether each waits for room now."""
    return [ledger.receipts.get(receipt.task_id).is_held for receipt in receipts]


def inside(ledger: Ledger) -> int:
    """Tasks that were let in and have not ended."""
    return ledger.receipts.tasks.count_documents(
        {"admission.state": "admitted", "status": {"$in": ["PENDING", "PROCESSING"]}}
    )


def finish(ledger: Ledger, receipt: Receipt, by: Holder) -> None:
    assert ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)


def test_what_has_no_room_is_held_and_let_in_by_age_as_others_end(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    limit_tasks(ledger, max_running=2)
    receipts = submit(ledger, 3, queue) + submit(ledger, 2, queue)
    assert [receipt.is_held for receipt in receipts] == [False, False, True, True, True]
    assert held(ledger, receipts) == [False, False, True, True, True]
    assert sent(broker, queue) == [receipt.task_id for receipt in receipts[:2]]
    for receipt, by in [claim(ledger, each) for each in receipts[:2]]:
        assert ledger.submission.open("ns_test") == []
        finish(ledger, receipt, by)
        assert inside(ledger) == 1
        ledger.submission.open("ns_test")
        assert inside(ledger) == 2
    assert held(ledger, receipts) == [False, False, False, False, True]
    assert [receipt.queue for receipt in ledger.receipts.find_many([receipts[3].task_id])] == [
        queue
    ]


def test_a_held_task_says_so_has_a_place_and_is_not_claimed(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=1)
    receipts = submit(ledger, 3, queue)
    assert [receipt.to_json()["waiting_for"] for receipt in receipts] == [
        "worker",
        "quota",
        "quota",
    ]
    assert [ledger.queue.place(receipt).position for receipt in receipts] == [1, 1, 2]
    assert ledger.receipts.claim(receipts[1].task_id, holder()) is None
    first, by = claim(ledger, receipts[0])
    assert first.to_json()["waiting_for"] is None
    finish(ledger, first, by)
    ledger.submission.open("ns_test")
    assert ledger.queue.place(ledger.receipts.get(receipts[2].task_id)).wait_minutes is not None
    claim(ledger, receipts[1])


def test_the_sweep_lets_in_what_nobody_was_told_of(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    limit_tasks(ledger, max_running=1)
    receipts = submit(ledger, 2, queue)
    finish(ledger, *claim(ledger, receipts[0]))
    assert held(ledger, receipts) == [False, True]
    assert ledger.queue.republish(ledger.publisher) == 0
    assert ledger.submission.let_in() == 1
    assert held(ledger, receipts) == [False, False]
    assert sent(broker, queue)[-1] == receipts[1].task_id
    assert ledger.submission.let_in() == 0


def test_a_task_given_back_waits_for_room_again(ledger: Ledger, queue: str) -> None:
    """Whoever gives it back: its worker, the reaper, or whoever paused it."""
    limit_tasks(ledger, max_running=1)
    failed, other = submit(ledger, 2, queue)
    _, by = claim(ledger, failed)
    guard = {"lease.token": by.token}
    ledger.receipts.requeue(failed.task_id, BACK, guard=guard, delay=timedelta(hours=1))
    assert held(ledger, [failed, other]) == [True, True]
    ledger.submission.open("ns_test")
    assert held(ledger, [failed, other]) == [True, False]  # who is not due is passed over

    _, by = claim(brief(ledger), other)
    assert expired(ledger, other.task_id).is_held
    ledger.submission.open("ns_test")
    _, by = claim(ledger, other)
    assert ledger.receipts.give_back(other.task_id, by.token, BACK)
    assert held(ledger, [other]) == [True]

    ledger.submission.open("ns_test")
    ledger.suspensions.request(other.task_id, actor="key:ops", reason=None, running=True)
    assert ledger.suspensions.apply(other.task_id).status is TaskStatusEnum.SUSPENDED
    assert inside(ledger) == 0
    (third,) = submit(ledger, 1, queue)
    assert not third.is_held
    resumed = ledger.suspensions.resume(other.task_id, actor="key:ops")
    assert resumed is not None
    assert ledger.submission.send([resumed])[0].is_held
    finish(ledger, *claim(ledger, third))
    assert ledger.submission.let_in() == 1
    claim(ledger, other)


def test_a_held_task_that_is_killed_or_paused_gives_nothing_up(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=1)
    _, killed, paused, last = submit(ledger, 4, queue)
    assert ledger.killer.kill(killed.task_id, actor="key:ops", reason=None).is_terminal
    ledger.suspensions.request(paused.task_id, actor="key:ops", reason=None, running=False)
    assert ledger.suspensions.apply(paused.task_id).status is TaskStatusEnum.SUSPENDED
    resumed = ledger.suspensions.resume(paused.task_id, actor="key:ops")
    assert resumed is not None
    assert resumed.is_held
    assert ledger.submission.let_in() == 0
    assert held(ledger, [paused, last]) == [True, True]


def test_children_are_not_counted_and_not_held(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=1, max_pending=1)
    (parent,) = submit(ledger, 1, queue)
    claimed, by = claim(ledger, parent)
    families: FamilyStore = ledger.families
    pieces = [Piece(ordinal, [ordinal], 1) for ordinal in range(3)]
    families.create_children(claimed, "test_piece", pieces, at=claimed.created_at)
    assert families.fan_out(claimed, by.token, units=3)
    children = ledger.submission.send(families.waiting(parent.task_id))
    assert [child.is_held for child in children] == [False] * 3
    (other,) = submit(ledger, 1, queue)
    assert other.is_held  # the parent's code rests, and it has its place still
    for child in children:
        finish(ledger, *claim(ledger, child))
    assert ledger.submission.let_in() == 0


def test_others_are_not_counted(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=1, max_pending=1)
    submit(ledger, 1, queue)
    other = ledger.submission.submit([new_task(namespace_id="ns_other", queue=queue)] * 3)
    assert [receipt.is_held for receipt in other] == [False] * 3
    assert "admission" not in stored(ledger, other[0].task_id)
    control = ledger.submission.submit([new_task(queue="waybill.control")] * 2)
    assert [receipt.is_held for receipt in control] == [False] * 2


def test_what_would_wait_beyond_the_quota_is_refused(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_pending=3)
    first = submit(ledger, 2, queue)
    assert [receipt.is_held for receipt in first] == [False] * 2
    accepted = ledger.submission.accept([new_task(queue=queue)] * 3)
    assert len(accepted) == 1
    with pytest.raises(TooManyRequestsError, match="max_pending") as refused:
        submit(ledger, 1, queue)
    assert refused.value.retry_after_s > 0
    claim(ledger, first[0])
    submit(ledger, 1, queue)
    with pytest.raises(TooManyRequestsError):
        submit(ledger, 1, queue)


def test_submits_at_one_moment_do_not_overshoot(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=2, max_pending=5)
    counts = at_once(8, lambda _: len(ledger.submission.accept([new_task(queue=queue)] * 2)))
    assert sum(counts) == 5
    assert inside(ledger) == 2


def test_many_doors_opened_at_one_moment_let_no_more_in(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=3)
    receipts = submit(ledger, 20, queue)
    finish(ledger, *claim(ledger, receipts[0]))
    finish(ledger, *claim(ledger, receipts[1]))
    opened_by = at_once(6, lambda _: ledger.submission.open("ns_test"))
    assert sum(map(len, opened_by)) == 2
    assert inside(ledger) == 3


def test_a_quota_holds_what_waited_before_it_and_counts_what_ran(
    ledger: Ledger, queue: str
) -> None:
    receipts = [create(ledger, queue=queue) for _ in range(5)]
    claimed = [claim(ledger, each) for each in receipts[:2]]
    limit_tasks(ledger, max_running=1)
    assert held(ledger, receipts) == [False, False, True, True, True]
    finish(ledger, *claimed[0])
    assert ledger.submission.let_in() == 0
    finish(ledger, *claimed[1])
    assert ledger.submission.let_in() == 1
    assert held(ledger, receipts[2:]) == [False, True, True]


def test_a_lower_quota_ends_nothing_and_a_higher_one_lets_in(ledger: Ledger, queue: str) -> None:
    limit_tasks(ledger, max_running=4)
    receipts = submit(ledger, 6, queue)
    running = [claim(ledger, each) for each in receipts[:2]]
    limit_tasks(ledger, max_running=1)
    assert held(ledger, receipts) == [False, False, True, True, True, True]
    finish(ledger, *running[0])
    assert ledger.submission.let_in() == 0
    limit_tasks(ledger, max_running=3)
    assert held(ledger, receipts) == [False, False, False, False, True, True]
    limit_tasks(ledger)
    assert held(ledger, receipts) == [False] * 6
    assert not submit(ledger, 1, queue)[0].is_held


def test_a_quota_that_has_room_sends_no_message_twice(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    limit_tasks(ledger, max_running=3, max_pending=9)
    receipts = submit(ledger, 3, queue)
    for max_running in (3, 4, None):
        limit_tasks(ledger, max_running=max_running, max_pending=9)
    assert sent(broker, queue) == [receipt.task_id for receipt in receipts]


def test_a_quota_of_what_waits_holds_nothing(ledger: Ledger, queue: str) -> None:
    """However much one request submits."""
    limit_tasks(ledger, max_pending=MAX_SUBMITTED)
    receipts = submit(ledger, MAX_SUBMITTED, queue)
    assert not any(receipt.is_held for receipt in receipts)


def test_a_process_that_has_not_heard_of_a_quota_is_made_up_for(ledger: Ledger, queue: str) -> None:
    before = submit(ledger, 1, queue)
    limit_tasks(ledger, max_running=1)
    late = [create(ledger, queue=queue)]  # as such a process stores it, however slow this test
    assert held(ledger, before + late) == [False, False]
    assert ledger.submission.let_in() == 0
    assert held(ledger, before + late) == [False, True]


def test_namespaces_that_name_no_quota_have_that_of_the_settings(
    database: Database[Document], redis_url: str, queue: str
) -> None:
    with opened(database, redis_url, quota=Quota(max_running=1, max_pending=2)) as ledger:
        accepted = ledger.submission.accept([new_task(queue=queue)] * 4)
        assert [receipt.is_held for receipt in accepted] == [False, True]
        limit_tasks(ledger, max_running=2)
        assert held(ledger, accepted) == [False, False]


def test_lost_messages_of_tasks_that_were_let_in_are_sent_again(
    ledger: Ledger, broker: Redis, queue: str
) -> None:
    limit_tasks(ledger, max_running=2)
    receipts = submit(ledger, 4, queue)
    lose(broker, queue, 2)
    poll(
        lambda: ledger.queue.republish(ledger.publisher) == 2,
        description="the lost messages count as old enough",
        within_s=5,
    )
    assert sorted(sent(broker, queue)) == sorted(each.task_id for each in receipts[:2])
