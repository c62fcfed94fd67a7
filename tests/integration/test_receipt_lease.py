"""Leases end by MongoDB's clock; the reaper moves on what they held, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from app.database import Document
from app.receipts.cancellation import BY_FORCE
from app.receipts.lease import Hold
from app.receipts.ledger import Ledger
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Holder
from app.receipts.transition import earlier
from tests.integration.receipts import (
    COMPLETED,
    at_once,
    brief,
    check_document,
    claim,
    create,
    expired,
    holder,
    moves,
    opened,
    stored,
)
from tests.polling import poll


def run_out(ledger: Ledger, *task_ids: str) -> None:
    """Lets a whole lease, and a little more, pass for these tasks."""
    ledger.receipts.tasks.update_many(
        {"_id": {"$in": list(task_ids)}},
        [{"$set": {"lease.expires_at": earlier(timedelta(milliseconds=1))}}],
    )


def keep(ledger: Ledger, task_id: str, by: Holder) -> int:
    return ledger.leases.renew({by.job_id: task_id}, keeper=by.keeper)


def test_a_lease_begins_and_is_renewed_by_the_clock_of_mongodb(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    before = stored(ledger, receipt.task_id)
    assert before["lease"]["expires_at"] - before["updated_at"] == timedelta(seconds=60)
    poll(
        lambda: (
            keep(ledger, receipt.task_id, by)
            and stored(ledger, receipt.task_id)["lease"]["expires_at"]
            > before["lease"]["expires_at"]
        ),
        description="the lease is renewed",
        within_s=5,
    )
    after = stored(ledger, receipt.task_id)
    del before["lease"]["expires_at"], after["lease"]["expires_at"]
    assert after == before


def test_a_lease_that_holds_is_not_reaped(ledger: Ledger) -> None:
    receipt, _ = claim(ledger, create(ledger))
    before = stored(ledger, receipt.task_id)
    assert ledger.leases.reap() == []
    assert stored(ledger, receipt.task_id) == before


def test_of_two_leases_that_ran_out_the_reaper_ends_the_one_that_nobody_keeps(
    ledger: Ledger,
) -> None:
    kept, by = claim(ledger, create(ledger, max_attempts=1), holder("kept"))
    for index in range(4):
        left, _ = claim(ledger, create(ledger, max_attempts=1), holder(f"left{index}"))
        run_out(ledger, kept.task_id, left.task_id)
        assert keep(ledger, kept.task_id, by) == 1
        assert [reaped.task_id for reaped in ledger.leases.reap()] == [left.task_id]
        assert stored(ledger, left.task_id)["status"] == "FAILED"
    assert stored(ledger, kept.task_id)["lease"]["token"] == by.token


def test_only_the_keeper_renews_and_only_what_it_names(ledger: Ledger) -> None:
    mine, by = claim(ledger, create(ledger), holder("w1"))
    also_mine, _ = claim(ledger, create(ledger), Holder("t2", "w1", by.keeper, "j2"))
    theirs, other = claim(ledger, create(ledger), holder("w2"))
    waiting = create(ledger)
    ids = [mine.task_id, also_mine.task_id, theirs.task_id, waiting.task_id]
    before = [stored(ledger, task_id) for task_id in ids]
    running = {by.job_id: ids[0], "j2": ids[1], other.job_id: ids[2], "j4": ids[3], "j5": "none"}
    assert ledger.leases.renew(running, keeper=by.keeper) == 2
    assert keep(ledger, mine.task_id, other) == 0
    assert ledger.leases.renew({}, keeper=by.keeper) == 0
    # A second message of the same task keeps nothing for a job that is dead.
    assert ledger.leases.renew({"another": mine.task_id}, keeper=by.keeper) == 0
    after = [stored(ledger, task_id) for task_id in ids]
    assert after[2:] == before[2:]


def test_a_lease_that_was_taken_back_is_outlived_and_no_other(ledger: Ledger) -> None:
    kept, by = claim(ledger, create(ledger))
    lost, loser = claim(brief(ledger), create(ledger))
    ended, done = claim(ledger, create(ledger))
    holds = [
        Hold(kept.task_id, by.token, by.job_id),
        Hold(lost.task_id, loser.token, loser.job_id),
        Hold(ended.task_id, done.token, done.job_id),
    ]
    assert ledger.leases.held([kept.task_id, lost.task_id], keeper=by.keeper) == holds[:2]
    assert ledger.leases.outlived(holds) == set()
    ledger.receipts.finish(ended.task_id, done.token, COMPLETED, worker=done.worker)
    expired(ledger, lost.task_id)
    assert ledger.leases.outlived(holds) == {loser.token}
    claim(ledger, lost, holder("w2"))
    assert ledger.leases.outlived(holds) == {loser.token}


def test_an_ended_task_has_no_lease_to_renew(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    before = stored(ledger, receipt.task_id)
    assert keep(ledger, receipt.task_id, by) == 0
    assert ledger.leases.reap() == []
    assert stored(ledger, receipt.task_id) == before


def test_a_lost_task_goes_back_for_its_next_attempt(ledger: Ledger) -> None:
    receipt = create(ledger)
    claim(brief(ledger), receipt, holder("w1"))
    lost = expired(ledger, receipt.task_id)
    assert (lost.status, lost.attempt, lost.lease_token) == ("PENDING", 1, None)
    document = stored(ledger, receipt.task_id)
    check_document(document)
    assert document["published_at"] is None
    last = document["history"][-1]
    assert (last["actor"], last["worker"], last["attempt"]) == ("reaper", "w1", 1)
    assert "w1" in last["reason"]
    again, _ = claim(ledger, receipt, holder("w2"))
    assert again.attempt == 2


def test_after_the_last_attempt_the_task_fails_and_names_the_worker(ledger: Ledger) -> None:
    receipt = create(ledger, max_attempts=3)
    for attempt in range(1, 4):
        claim(brief(ledger), receipt, holder(f"box-{attempt}@host"))
        lost = expired(ledger, receipt.task_id)
        assert lost.attempt == attempt
    assert lost.status is TaskStatusEnum.FAILED
    assert lost.error_message is not None
    assert "box-3@host" in lost.error_message
    assert len(lost.error_message.splitlines()) == 1
    assert moves(ledger, receipt.task_id) == [*(["PENDING", "PROCESSING"] * 3), "FAILED"]
    check_document(stored(ledger, receipt.task_id))
    assert ledger.receipts.claim(receipt.task_id, holder()) is None


def test_a_lost_task_that_was_to_end_is_canceled(ledger: Ledger) -> None:
    receipt = create(ledger)
    claim(brief(ledger), receipt, holder("w1"))
    ledger.cancellations.request(receipt.task_id, actor="key:ops", reason="too dear")
    lost = expired(ledger, receipt.task_id)
    assert lost.status is TaskStatusEnum.CANCELED
    assert lost.cancellation is not None
    assert lost.cancellation.reason == "too dear"
    assert lost.cancellation.outcome is not None
    check_document(stored(ledger, receipt.task_id))


@contextmanager
def locked(ledger: Ledger, task_id: str) -> Iterator[None]:
    """The receipt within a transaction that nobody ends, as of a job that died or froze there."""
    tasks = ledger.receipts.tasks
    with tasks.database.client.start_session() as session:
        session.start_transaction()
        tasks.update_one({"_id": task_id}, {"$inc": {"version": 1}}, session=session)
        yield
        session.commit_transaction()  # which fails unless it was open all the time


def test_nobody_but_its_own_task_waits_for_a_transaction_that_is_left_open(
    database: Database[Document], redis_url: str
) -> None:
    with opened(database, redis_url, patience=timedelta(seconds=60)) as ledger:
        stuck, by = claim(ledger, create(ledger))
        other, _ = claim(ledger, create(ledger), by)
        running = {by.job_id: stuck.task_id, f"{by.job_id}2": other.task_id}
        ledger.receipts.tasks.update_one(
            {"_id": other.task_id}, {"$set": {"job_id": f"{by.job_id}2"}}
        )
        run_out(ledger, stuck.task_id, other.task_id)
        with locked(ledger, stuck.task_id):
            with pytest.raises(PyMongoError) as caught:
                ledger.leases.renew(running, keeper=by.keeper)
            assert caught.value.timeout
            assert not is_expired(ledger, other.task_id)
        run_out(ledger, stuck.task_id, other.task_id)
        with locked(ledger, stuck.task_id):
            assert [each.task_id for each in ledger.leases.reap()] == [other.task_id]
        ledger.cancellations.request(stuck.task_id, actor="key:ops", reason=None)
        with locked(ledger, stuck.task_id), pytest.raises(OperationFailure):
            ledger.leases.record_end(ledger.receipts.get(stuck.task_id), outcome=BY_FORCE)
        assert [each.status for each in ledger.leases.reap()] == [TaskStatusEnum.CANCELED]


def is_expired(ledger: Ledger, task_id: str) -> bool:
    query = {"_id": task_id, "$expr": {"$lt": ["$lease.expires_at", "$$NOW"]}}
    return ledger.receipts.tasks.count_documents(query) == 1


def test_sixteen_reapers_move_a_task_on_once(ledger: Ledger) -> None:
    receipts = [create(ledger) for _ in range(5)]
    for receipt in receipts:
        claim(brief(ledger), receipt)
    poll(
        lambda: (
            ledger.receipts.tasks.count_documents(
                {"$expr": {"$lt": ["$lease.expires_at", "$$NOW"]}}
            )
            == len(receipts)
        ),
        description="all leases have ended",
        within_s=5,
    )
    reaped = [each for swept in at_once(16, lambda _: ledger.leases.reap()) for each in swept]
    assert sorted(each.task_id for each in reaped) == sorted(each.task_id for each in receipts)
    for receipt in receipts:
        assert moves(ledger, receipt.task_id) == ["PENDING", "PROCESSING", "PENDING"]


def test_renewal_end_and_reaper_race_and_one_of_them_decides(ledger: Ledger) -> None:
    for _ in range(10):
        receipt, by = claim(brief(ledger), create(ledger))
        calls = [
            lambda r=receipt, h=by: keep(ledger, r.task_id, h),
            lambda r=receipt, h=by: ledger.receipts.finish(
                r.task_id, h.token, COMPLETED, worker=h.worker
            ),
            lambda r=receipt, h=by: ledger.leases.reap(),
        ]
        _, ended, reaped = at_once(3, lambda index, work=calls: work[index]())  # type: ignore[misc]
        document = stored(ledger, receipt.task_id)
        check_document(document)
        assert (ended is not None) == (document["status"] == "COMPLETED")
        assert bool(reaped) == (document["status"] == "PENDING")
        assert len(document["history"]) == 3
