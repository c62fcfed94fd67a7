"""Cancellation: stored first, carried out at once on what waits, never on what has ended."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database

from app.database import Document
from app.errors import NotFoundError
from app.receipts.cancellation import UNREACHABLE, UNREACHABLE_AFTER
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import Ending
from app.receipts.transition import Move, earlier
from tests.integration.receipts import (
    COMPLETED,
    at_once,
    check_document,
    claim,
    create,
    holder,
    moves,
    opened,
    stored,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


def cancel(
    ledger: Ledger, task_id: str, *, actor: str = "key:ops", reason: str = "dear"
) -> Receipt:
    ledger.cancellations.request(task_id, actor=actor, reason=reason)
    return ledger.cancellations.apply(task_id)


def family(ledger: Ledger, count: int) -> tuple[Receipt, list[Receipt]]:
    parent, by = claim(ledger, create(ledger))
    pieces = [Piece(ordinal, [], 1) for ordinal in range(count)]
    ledger.families.create_children(parent, "test_piece", pieces, at=AT)
    ledger.families.fan_out(parent, by.token, units=count)
    return parent, ledger.families.waiting(parent.task_id)


def test_what_waits_ends_at_once(ledger: Ledger) -> None:
    receipt = create(ledger)
    ended = cancel(ledger, receipt.task_id)
    assert ended.status is TaskStatusEnum.CANCELED
    assert ended.cancellation is not None
    assert (ended.cancellation.actor, ended.cancellation.reason) == ("key:ops", "dear")
    assert ended.cancellation.outcome is not None
    assert "before it started" in ended.cancellation.outcome
    assert ended.started_at is None
    document = stored(ledger, receipt.task_id)
    check_document(document)
    last = document["history"][-1]
    assert (last["actor"], last["reason"], last["attempt"]) == ("key:ops", "dear", 0)
    assert ledger.receipts.claim(receipt.task_id, holder()) is None


def test_a_suspended_task_ends_at_once(ledger: Ledger) -> None:
    receipt = create(ledger)
    suspend = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.SUSPENDED, actor="key:ops")
    assert ledger.receipts.move(receipt.task_id, suspend, sets={}, guard={}) is not None
    assert cancel(ledger, receipt.task_id).status is TaskStatusEnum.CANCELED
    assert moves(ledger, receipt.task_id) == ["PENDING", "SUSPENDED", "CANCELED"]


def test_a_stored_intent_alone_refuses_every_claim(ledger: Ledger) -> None:
    receipt = create(ledger)
    ledger.cancellations.request(receipt.task_id, actor="key:ops", reason=None)
    assert ledger.receipts.get(receipt.task_id).status is TaskStatusEnum.PENDING
    assert ledger.receipts.claim(receipt.task_id, holder()) is None
    assert ledger.cancellations.unapplied() == [receipt.task_id]
    assert ledger.cancellations.apply(receipt.task_id).status is TaskStatusEnum.CANCELED
    assert ledger.cancellations.unapplied() == []


def test_what_runs_is_asked_and_nothing_more(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    asked = cancel(ledger, receipt.task_id)
    assert asked.status is TaskStatusEnum.PROCESSING
    assert asked.lease_token == by.token
    assert asked.cancellation is not None
    assert asked.cancellation.outcome is None
    assert ledger.cancellations.unapplied() == []
    heard = ledger.receipts.report(receipt.task_id, by.token, begin(1, AT))
    assert heard is not None
    assert heard.cancellation is not None


def test_a_job_that_ends_first_says_so(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    cancel(ledger, receipt.task_id)
    ended = ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    assert ended is not None
    assert ended.status is TaskStatusEnum.COMPLETED
    assert ended.cancellation is not None
    assert ended.cancellation.outcome is not None


def test_what_is_given_back_with_an_intent_ends_at_the_next_sweep(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    cancel(ledger, receipt.task_id)
    back = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1")
    guard = {"lease.token": by.token}
    delay = timedelta(hours=1)
    assert ledger.receipts.requeue(receipt.task_id, back, guard=guard, delay=delay) is not None
    assert ledger.cancellations.unapplied() == [receipt.task_id]
    assert ledger.cancellations.apply(receipt.task_id).status is TaskStatusEnum.CANCELED


def test_a_repeat_changes_nothing_and_the_first_word_counts(ledger: Ledger) -> None:
    running, _ = claim(ledger, create(ledger))
    cancel(ledger, running.task_id, actor="key:first", reason="first")
    before = stored(ledger, running.task_id)
    cancel(ledger, running.task_id, actor="key:second", reason="second")
    assert stored(ledger, running.task_id) == before
    ended = create(ledger)
    cancel(ledger, ended.task_id)
    before = stored(ledger, ended.task_id)
    cancel(ledger, ended.task_id, actor="key:second", reason="second")
    assert stored(ledger, ended.task_id) == before


def test_sixteen_who_cancel_are_one(ledger: Ledger) -> None:
    receipt = create(ledger)
    at_once(16, lambda index: cancel(ledger, receipt.task_id, actor=f"key:{index}"))
    document = stored(ledger, receipt.task_id)
    check_document(document)
    assert moves(ledger, receipt.task_id) == ["PENDING", "CANCELED"]
    assert document["history"][-1]["actor"] == document["cancellation"]["actor"]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_stays_as_it_is(ledger: Ledger, status: TaskStatusEnum) -> None:
    receipt, by = claim(ledger, create(ledger))
    ledger.receipts.finish(receipt.task_id, by.token, Ending(status), worker=by.worker)
    before = stored(ledger, receipt.task_id)
    assert cancel(ledger, receipt.task_id).status is status
    assert stored(ledger, receipt.task_id) == before


def test_a_task_that_never_was_cannot_be_canceled(ledger: Ledger) -> None:
    ledger.cancellations.request("tsk_none", actor="key:ops", reason=None)
    with pytest.raises(NotFoundError):
        ledger.cancellations.apply("tsk_none")
    assert ledger.receipts.tasks.count_documents({}) == 0


def test_claim_and_cancel_race_and_one_of_them_decides(ledger: Ledger) -> None:
    for _ in range(15):
        receipt = create(ledger)
        by = holder()
        calls = [
            lambda r=receipt, h=by: ledger.receipts.claim(r.task_id, h),
            lambda r=receipt: cancel(ledger, r.task_id),
        ]
        claimed, _ = at_once(2, lambda index, work=calls: work[index]())  # type: ignore[misc]
        document = stored(ledger, receipt.task_id)
        check_document(document)
        assert document["cancellation"] is not None
        assert document["status"] == ("PROCESSING" if claimed is not None else "CANCELED")


def test_a_parent_takes_its_waiting_children_along(ledger: Ledger) -> None:
    parent, children = family(ledger, 4)
    _, by = claim(ledger, children[0])
    _, done = claim(ledger, children[1])
    ledger.receipts.finish(children[1].task_id, done.token, COMPLETED, worker="w1")
    asked = cancel(ledger, parent.task_id)
    assert asked.status is TaskStatusEnum.PROCESSING
    statuses = [ledger.receipts.get(child.task_id).status for child in children]
    assert statuses == ["PROCESSING", "COMPLETED", "CANCELED", "CANCELED"]
    for child in (children[0], *children[2:]):
        document = stored(ledger, child.task_id)
        check_document(document)
        assert document["cancellation"]["actor"] == "key:ops"
        assert document["cancellation"]["reason"] == "dear"
    assert stored(ledger, children[1].task_id)["cancellation"] is None
    assert not ledger.families.is_complete(parent.task_id)
    ending = Ending(TaskStatusEnum.CANCELED, outcome="stopped")
    ledger.receipts.finish(children[0].task_id, by.token, ending, worker=by.worker)
    concluding = ledger.families.claim_conclusion(parent.task_id, holder())
    assert concluding is not None
    assert concluding.cancellation is not None
    before = [stored(ledger, child.task_id) for child in children]
    cancel(ledger, parent.task_id)
    assert [stored(ledger, child.task_id) for child in children] == before


def test_no_child_starts_once_its_parent_was_canceled(ledger: Ledger) -> None:
    for _ in range(5):
        parent, children = family(ledger, 15)
        calls = [lambda p=parent: cancel(ledger, p.task_id)] + [
            lambda c=child: ledger.receipts.claim(c.task_id, holder()) for child in children
        ]
        at_once(16, lambda index, work=calls: work[index]())  # type: ignore[misc]
        for child in children:
            document = stored(ledger, child.task_id)
            check_document(document)
            assert document["status"] in ("PROCESSING", "CANCELED")
            assert document["cancellation"] is not None


def test_the_deadline_is_the_grace_after_the_request_by_the_clock_of_mongodb(
    database: Database[Document], redis_url: str
) -> None:
    grace = timedelta(seconds=60)
    with opened(database, redis_url, grace=grace) as ledger:
        receipt, by = claim(ledger, create(ledger))
        asked = cancel(ledger, receipt.task_id).cancellation
        assert asked is not None
        assert asked.deadline_at - asked.requested_at == grace
        assert ledger.cancellations.overdue([receipt.task_id], keeper=by.keeper) == []
        assert ledger.cancellations.note_unreachable() == 0


def test_a_job_past_its_deadline_is_overdue_for_its_keeper_alone(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    assert ledger.cancellations.overdue([receipt.task_id], keeper=by.keeper) == []
    cancel(ledger, receipt.task_id)
    (overdue,) = ledger.cancellations.overdue([receipt.task_id], keeper=by.keeper)
    assert overdue.task_id == receipt.task_id
    assert ledger.cancellations.overdue([receipt.task_id], keeper="another") == []


def test_a_worker_that_does_not_answer_is_named_unreachable_until_the_end(
    ledger: Ledger,
) -> None:
    receipt, by = claim(ledger, create(ledger))
    waiting = create(ledger)
    cancel(ledger, receipt.task_id)
    assert ledger.cancellations.note_unreachable() == 0  # it has some seconds more
    asked_at = earlier(2 * UNREACHABLE_AFTER)
    ledger.receipts.tasks.update_one(
        {"_id": receipt.task_id}, [{"$set": {"cancellation.deadline_at": asked_at}}]
    )
    assert ledger.cancellations.note_unreachable() == 1
    assert ledger.cancellations.note_unreachable() == 0
    so_far = ledger.receipts.get(receipt.task_id)
    assert so_far.status is TaskStatusEnum.PROCESSING
    assert so_far.cancellation is not None
    assert so_far.cancellation.outcome == UNREACHABLE
    assert ledger.receipts.get(waiting.task_id).cancellation is None
    ended = ledger.receipts.finish(
        receipt.task_id, by.token, Ending(TaskStatusEnum.CANCELED, outcome="stopped"), worker="w1"
    )
    assert ended is not None
    assert ended.cancellation is not None
    assert ended.cancellation.outcome == "stopped"


def test_many_are_ended_at_once_and_the_others_are_asked(ledger: Ledger) -> None:
    waiting = [create(ledger) for _ in range(3)]
    running, _ = claim(ledger, create(ledger))
    given_back, by = claim(ledger, create(ledger))
    back = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1")
    guard = {"lease.token": by.token}
    ledger.receipts.requeue(given_back.task_id, back, guard=guard)
    done, by = claim(ledger, create(ledger))
    ledger.receipts.finish(done.task_id, by.token, COMPLETED, worker="w1")
    spared = create(ledger)
    ids = [each.task_id for each in (*waiting, running, given_back, done)]
    assert ledger.cancellations.end_many(ids, actor="key:ops", reason="all") == len(waiting)
    statuses = [ledger.receipts.get(task_id).status for task_id in ids]
    assert statuses == [*["CANCELED"] * 3, "PROCESSING", "PENDING", "COMPLETED"]
    for task_id in ids[:-1]:
        document = stored(ledger, task_id)
        check_document(document)
        assert document["cancellation"]["reason"] == "all"
    assert stored(ledger, spared.task_id)["cancellation"] is None
    assert ledger.cancellations.apply(given_back.task_id).status is TaskStatusEnum.CANCELED
