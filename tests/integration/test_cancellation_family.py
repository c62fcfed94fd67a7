"""A parent is CANCELED after the code of its children, whoever ends it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import pytest

from app.receipts.cancellation import BY_FORCE, WHILE_RUNNING
from app.receipts.ledger import Ledger
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from tests.integration.receipts import (
    COMPLETED,
    brief,
    check_document,
    claim,
    create,
    expired,
    stored,
)
from workers.attempt import Attempt

AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
PIECES: Final = [Piece(ordinal, [ordinal], 1) for ordinal in range(3)]


def lose(ledger: Ledger, planner: Receipt, _: Holder) -> None:
    expired(ledger, planner.task_id)


def force(ledger: Ledger, planner: Receipt, _: Holder) -> None:
    assert ledger.leases.record_end(planner, outcome=BY_FORCE) is not None


def see(ledger: Ledger, planner: Receipt, by: Holder) -> None:
    attempt = Attempt(planner, by, ledger, suspendable=True)
    assert attempt.end(Ending(TaskStatusEnum.CANCELED, outcome=WHILE_RUNNING)) is not None


@pytest.mark.parametrize("end", [lose, force, see])
def test_a_parent_that_planned_again_is_canceled_after_its_children(
    ledger: Ledger, end: Callable[[Ledger, Receipt, Holder], None]
) -> None:
    """Its pause is over, and a child of the first plan still runs."""
    parent, by = claim(ledger, create(ledger))
    ledger.families.create_children(parent, "test_piece", PIECES, at=AT)
    assert ledger.families.fan_out(parent, by.token, units=len(PIECES)) is not None
    running, its = claim(ledger, ledger.families.waiting(parent.task_id)[0])
    ledger.suspensions.request(parent.task_id, actor="key:ops", reason=None, running=True)
    ledger.suspensions.apply(parent.task_id)
    assert ledger.suspensions.resume(parent.task_id, actor="key:ops") is not None
    _, planner = claim(brief(ledger), parent)
    ledger.cancellations.request(parent.task_id, actor="key:ops", reason="enough")
    end(ledger, ledger.cancellations.apply(parent.task_id), planner)

    assert ledger.receipts.get(running.task_id).cancellation is not None
    assert not ledger.receipts.get(parent.task_id).is_terminal
    assert ledger.cancellations.apply(parent.task_id).status == "PENDING"
    assert ledger.receipts.finish(running.task_id, its.token, COMPLETED, worker=its.worker)
    assert parent.task_id in ledger.cancellations.unapplied()
    assert ledger.cancellations.apply(parent.task_id).status == "CANCELED"
    check_document(stored(ledger, parent.task_id))
