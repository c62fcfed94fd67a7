"""Receipts as their own outbox: each transition that concerns others is found until it is told."""

from datetime import datetime, timedelta

from pymongo.database import Database

from app.database import Document, server_time
from app.receipts.ledger import Ledger
from app.receipts.outbox import MAX_DATA_BYTES, Idle, ReceiptOutbox, Untold
from app.receipts.receipt import Piece
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from tests.integration.receipts import COMPLETED, check_untold, claim, create, stored

LATER = timedelta(minutes=1)


def soon(database: Database[Document]) -> datetime:
    """A moment after all that has happened."""
    return server_time(database) + LATER


def heard(ledger: Ledger) -> list[Untold]:
    outbox = ReceiptOutbox(ledger.receipts)
    return outbox.untold(limit=100)


def news(task: Untold) -> list[tuple[int, str]]:
    return [(entry.seq, entry.to.value) for entry in task.news]


def test_a_task_is_heard_of_from_its_receipt_to_its_end(ledger: Ledger) -> None:
    outbox = ReceiptOutbox(ledger.receipts)
    receipt = create(ledger, additional_data={"order": 7}, callback_url="https://example.com/")
    (first,) = heard(ledger)
    assert (first.task_id, first.news[0].from_, news(first)) == (
        receipt.task_id,
        None,
        [(1, "PENDING")],
    )
    assert (first.additional_data, first.callback_url) == ({"order": 7}, "https://example.com/")
    outbox.told([first])
    assert heard(ledger) == []

    _, by = claim(ledger, receipt)
    ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    (rest,) = heard(ledger)
    assert news(rest) == [(2, "PROCESSING"), (3, "COMPLETED")]
    assert rest.outputs == COMPLETED.outputs
    outbox.told([rest])
    assert heard(ledger) == []
    outbox.told([first])  # somebody who was frozen in the middle
    assert heard(ledger) == []
    assert "untold_since" not in stored(ledger, receipt.task_id)


def test_what_happens_while_others_are_told_is_heard_next(ledger: Ledger) -> None:
    outbox = ReceiptOutbox(ledger.receipts)
    receipt = create(ledger)
    (first,) = heard(ledger)
    claim(ledger, receipt)
    outbox.told([first])
    check_untold(stored(ledger, receipt.task_id))
    (second,) = heard(ledger)
    assert news(second) == [(2, "PROCESSING")]


def test_what_is_ended_many_at_once_is_heard_of_too(ledger: Ledger) -> None:
    outbox = ReceiptOutbox(ledger.receipts)
    receipts = [create(ledger) for _ in range(3)]
    outbox.told(heard(ledger))
    ids = [receipt.task_id for receipt in receipts]
    assert ledger.cancellations.end_many(ids, actor="key:test", reason=None) == 3
    assert {task.task_id: news(task) for task in heard(ledger)} == {
        task_id: [(2, "CANCELED")] for task_id in ids
    }


def test_nobody_hears_of_children(ledger: Ledger, database: Database[Document]) -> None:
    parent, _ = claim(ledger, create(ledger))
    pieces = [Piece(ordinal, [ordinal], 1) for ordinal in range(2)]
    ledger.families.create_children(parent, "child", pieces, at=server_time(database))
    (child, _) = ledger.families.waiting(parent.task_id)
    claim(ledger, child)
    assert [task.task_id for task in heard(ledger)] == [parent.task_id]


def test_nobody_is_told_of_what_nobody_asked_for(
    ledger: Ledger, database: Database[Document]
) -> None:
    outbox = ReceiptOutbox(ledger.receipts)
    ours = create(ledger, task_type="ours")
    named = create(ledger, callback_url="https://example.com/")
    running, by = claim(ledger, create(ledger))
    assert outbox.idle(before=server_time(database) - LATER, but=["ours"], limit=100) == []
    idle = outbox.idle(before=soon(database), but=["ours"], limit=100)
    assert idle == [Idle(running.task_id, 2)]
    outbox.settle(idle)
    others = {ours.task_id, named.task_id}
    assert {task.task_id for task in heard(ledger)} == others
    check_untold(stored(ledger, running.task_id))
    create(ledger)
    assert {task.task_id for task in outbox.untold(limit=100, only=["ours"])} == others
    failed = Ending(TaskStatusEnum.FAILED, error_message="no")
    ledger.receipts.finish(running.task_id, by.token, failed, worker=by.worker)
    (last,) = [task for task in heard(ledger) if task.task_id == running.task_id]
    assert (news(last), last.error_message) == ([(3, "FAILED")], "no")


def test_what_happens_after_a_look_that_found_nobody_is_heard(
    ledger: Ledger, database: Database[Document]
) -> None:
    outbox = ReceiptOutbox(ledger.receipts)
    receipt = create(ledger)
    idle = outbox.idle(before=soon(database), but=[], limit=100)
    claim(ledger, receipt)
    outbox.settle(idle)
    check_untold(stored(ledger, receipt.task_id))
    (task,) = heard(ledger)
    assert news(task)[-1] == (2, "PROCESSING")


def test_large_data_stays_where_it_is(ledger: Ledger) -> None:
    receipt = create(ledger, additional_data={"text": "x" * MAX_DATA_BYTES})
    _, by = claim(ledger, receipt)
    ending = Ending(TaskStatusEnum.COMPLETED, outputs=["y" * MAX_DATA_BYTES])
    ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)
    (task,) = heard(ledger)
    assert (task.additional_data, task.about, task.outputs) == ({}, {}, None)
    outbox = ReceiptOutbox(ledger.receipts)
    (task,) = outbox.untold(limit=1, about=[receipt.task_type])
    assert (task.additional_data, task.about) == ({}, receipt.additional_data)
