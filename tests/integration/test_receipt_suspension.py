"""Suspension: what waits is set aside at once, what runs at its checkpoint, and comes back."""

from datetime import UTC, datetime

import pytest

from app.receipts.lease import Hold
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
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
    stored,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
PIECES = [Piece(ordinal, [ordinal], 1) for ordinal in range(4)]


def suspend(ledger: Ledger, receipt: Receipt, *, running: bool = True) -> Receipt:
    ledger.suspensions.request(receipt.task_id, actor="key:ops", reason="night", running=running)
    return ledger.suspensions.apply(receipt.task_id)


def resume(ledger: Ledger, receipt: Receipt) -> Receipt | None:
    return ledger.suspensions.resume(receipt.task_id, actor="key:ops")


def give_back(
    ledger: Ledger, receipt: Receipt, by: Holder, status: TaskStatusEnum
) -> Receipt | None:
    move = Move((TaskStatusEnum.PROCESSING,), status, actor="worker:w1", worker="w1")
    return ledger.receipts.give_back(receipt.task_id, by.token, move)


def plan(ledger: Ledger, receipt: Receipt, by: Holder) -> list[Receipt]:
    """What a worker does with a task that fans out."""
    ledger.families.create_children(receipt, "test_piece", PIECES, at=AT)
    ledger.suspensions.wake_children(receipt, actor="worker:w1")
    assert ledger.families.fan_out(receipt, by.token, units=len(PIECES)) is not None
    return ledger.families.waiting(receipt.task_id)


def family(ledger: Ledger) -> tuple[Receipt, list[Receipt]]:
    parent, by = claim(ledger, create(ledger))
    return parent, plan(ledger, parent, by)


def statuses(ledger: Ledger, receipts: list[Receipt]) -> list[TaskStatusEnum]:
    return [ledger.receipts.get(each.task_id).status for each in receipts]


def test_what_waits_is_set_aside_at_once_and_keeps_who_and_why(ledger: Ledger) -> None:
    receipt = create(ledger)
    aside = suspend(ledger, receipt, running=False)
    assert aside.status is TaskStatusEnum.SUSPENDED
    assert aside.suspension is not None
    assert (aside.suspension.actor, aside.suspension.reason) == ("key:ops", "night")
    assert ledger.receipts.claim(receipt.task_id, holder()) is None
    assert ledger.queue.republish(ledger.publisher) == 0
    back = resume(ledger, receipt)
    assert back is not None
    assert (back.status, back.suspension, back.returns) == (TaskStatusEnum.PENDING, None, 0)
    check_document(stored(ledger, receipt.task_id))
    claim(ledger, receipt)


def test_a_stored_intent_alone_refuses_every_claim(ledger: Ledger) -> None:
    receipt = create(ledger)
    ledger.suspensions.request(receipt.task_id, actor="key:ops", reason=None, running=False)
    assert ledger.receipts.claim(receipt.task_id, holder()) is None
    assert ledger.suspensions.unapplied() == [receipt.task_id]
    assert ledger.suspensions.apply(receipt.task_id).status is TaskStatusEnum.SUSPENDED
    assert ledger.suspensions.unapplied() == []


def test_what_runs_hears_of_it_and_gives_its_worker_back(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger, max_attempts=1))
    assert suspend(ledger, receipt).status is TaskStatusEnum.PROCESSING
    heard = ledger.receipts.report(receipt.task_id, by.token, begin(9, AT), checkpoint="seven")
    assert heard is not None
    assert heard.suspension is not None
    aside = give_back(ledger, receipt, by, TaskStatusEnum.SUSPENDED)
    assert aside is not None
    assert (aside.status, aside.returns, aside.lease_token) == (TaskStatusEnum.SUSPENDED, 1, None)
    assert resume(ledger, receipt) is not None
    again, _ = claim(ledger, receipt, holder("w2"))
    assert (again.attempt, again.checkpoint) == (2, "seven")
    assert again.has_another_attempt is False  # the one that counts is under way
    check_document(stored(ledger, receipt.task_id))


def test_a_job_that_takes_no_checkpoints_is_not_asked(ledger: Ledger) -> None:
    receipt, _ = claim(ledger, create(ledger))
    before = stored(ledger, receipt.task_id)
    assert suspend(ledger, receipt, running=False).suspension is None
    assert stored(ledger, receipt.task_id) == before


def test_a_pause_that_has_not_begun_can_be_withdrawn(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    suspend(ledger, receipt)
    back = resume(ledger, receipt)
    assert back is not None
    assert (back.status, back.suspension) == (TaskStatusEnum.PROCESSING, None)
    assert give_back(ledger, receipt, by, TaskStatusEnum.SUSPENDED) is None
    returned = give_back(ledger, receipt, by, TaskStatusEnum.PENDING)
    assert returned is not None
    assert (returned.status, returned.returns) == (TaskStatusEnum.PENDING, 1)


def test_only_the_holder_gives_back_and_a_repeat_finds_it_done(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    assert give_back(ledger, receipt, holder(), TaskStatusEnum.PENDING) is None
    first = give_back(ledger, receipt, by, TaskStatusEnum.PENDING)
    assert first is not None
    before = stored(ledger, receipt.task_id)
    assert give_back(ledger, receipt, by, TaskStatusEnum.PENDING) == first
    assert stored(ledger, receipt.task_id) == before


def test_a_lost_worker_leaves_the_pause_to_the_sweep(ledger: Ledger) -> None:
    receipt, _ = claim(brief(ledger), create(ledger))
    suspend(ledger, receipt)
    assert expired(ledger, receipt.task_id).status is TaskStatusEnum.PENDING
    assert ledger.receipts.claim(receipt.task_id, holder()) is None
    assert ledger.suspensions.unapplied() == [receipt.task_id]
    assert ledger.suspensions.apply(receipt.task_id).status is TaskStatusEnum.SUSPENDED


def test_a_suspended_task_can_be_killed(ledger: Ledger) -> None:
    receipt = create(ledger)
    suspend(ledger, receipt)
    ended = ledger.killer.kill(receipt.task_id, actor="key:ops", reason="dear")
    assert ended.status is TaskStatusEnum.CANCELED
    assert resume(ledger, receipt) is None


def test_a_family_is_set_aside_and_goes_on_where_it_was(ledger: Ledger) -> None:
    parent, children = family(ledger)
    _, running = claim(ledger, children[0])
    _, done = claim(ledger, children[1])
    ledger.receipts.finish(children[1].task_id, done.token, COMPLETED, worker="w1")
    assert suspend(ledger, parent).status is TaskStatusEnum.SUSPENDED
    assert statuses(ledger, children) == ["PROCESSING", "COMPLETED", "SUSPENDED", "SUSPENDED"]
    give_back(ledger, children[0], running, TaskStatusEnum.SUSPENDED)
    assert ledger.families.overdue() == []

    assert resume(ledger, parent) is not None
    planner, by = claim(ledger, parent)
    assert (planner.attempt, planner.returns, planner.fanned_out) == (2, 1, False)
    waiting = plan(ledger, planner, by)
    assert [child.task_id for child in waiting] == [children[n].task_id for n in (0, 2, 3)]
    for child in waiting:
        _, worker = claim(ledger, child)
        ledger.receipts.finish(child.task_id, worker.token, COMPLETED, worker="w1")
    concluding = ledger.families.claim_conclusion(parent.task_id, holder())
    assert concluding is not None
    assert ledger.families.children(parent.task_id).sums == {"n": len(PIECES)}
    for each in (parent, *children):
        check_document(stored(ledger, each.task_id))


def test_a_child_that_still_runs_at_the_resume_runs_on(ledger: Ledger) -> None:
    parent, children = family(ledger)
    child, by = claim(ledger, children[0])
    suspend(ledger, parent)
    resume(ledger, parent)
    plan(ledger, *claim(ledger, parent))
    heard = ledger.receipts.report(child.task_id, by.token, begin(1, AT))
    assert heard is not None
    assert heard.suspension is None
    assert "SUSPENDED" not in statuses(ledger, children)


def test_a_suspended_parent_is_canceled_after_its_childrens_code(ledger: Ledger) -> None:
    parent, children = family(ledger)
    _, by = claim(ledger, children[0])
    suspend(ledger, parent)
    asked = ledger.killer.kill(parent.task_id, actor="key:ops", reason=None)
    assert asked.status is TaskStatusEnum.SUSPENDED
    assert resume(ledger, parent) is None
    assert statuses(ledger, children) == ["PROCESSING", *["CANCELED"] * 3]
    ending = Ending(TaskStatusEnum.CANCELED, outcome="stopped")
    ledger.receipts.finish(children[0].task_id, by.token, ending, worker="w1")
    assert ledger.cancellations.unapplied() == [parent.task_id]
    assert ledger.cancellations.apply(parent.task_id).status is TaskStatusEnum.CANCELED


def test_a_repeat_changes_nothing_and_the_first_word_counts(ledger: Ledger) -> None:
    receipt = create(ledger)
    suspend(ledger, receipt)
    before = stored(ledger, receipt.task_id)
    ledger.suspensions.request(receipt.task_id, actor="key:other", reason="x", running=True)
    ledger.suspensions.apply(receipt.task_id)
    assert stored(ledger, receipt.task_id) == before
    resume(ledger, receipt)
    before = stored(ledger, receipt.task_id)
    assert resume(ledger, receipt) is None
    assert stored(ledger, receipt.task_id) == before


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_stays_as_it_is(ledger: Ledger, status: TaskStatusEnum) -> None:
    receipt, by = claim(ledger, create(ledger))
    ledger.receipts.finish(receipt.task_id, by.token, Ending(status), worker=by.worker)
    before = stored(ledger, receipt.task_id)
    assert suspend(ledger, receipt).status is status
    assert resume(ledger, receipt) is None
    assert stored(ledger, receipt.task_id) == before


def test_sixteen_who_suspend_and_resume_leave_a_task_that_can_end(ledger: Ledger) -> None:
    for _ in range(5):
        parent, children = family(ledger)

        def act(index: int, parent: Receipt = parent) -> None:
            (suspend, resume)[index % 2](ledger, parent)

        at_once(16, act)
        suspend(ledger, parent)
        resume(ledger, parent)
        assert moves(ledger, parent.task_id)[-1] == "PENDING"
        planner, by = claim(ledger, parent)
        assert len(plan(ledger, planner, by)) == len(children)
        for each in (parent, *children):
            check_document(stored(ledger, each.task_id))


def test_a_suspension_that_comes_late_leaves_what_was_woken_awake(ledger: Ledger) -> None:
    """As of a sweep that read the parent, and was stopped until after the resume."""
    parent, children = family(ledger)
    ledger.suspensions.request(parent.task_id, actor="key:ops", reason=None, running=True)
    sighted = ledger.receipts.get(parent.task_id)
    ledger.suspensions.apply(parent.task_id)
    resume(ledger, parent)
    plan(ledger, *claim(ledger, parent))
    ledger.suspensions._suspend_children(sighted, actor="sweep", reason=None)
    assert statuses(ledger, children) == ["PENDING"] * len(children)
    assert {ledger.receipts.get(each.task_id).suspension for each in children} == {None}


def test_a_planner_that_comes_late_wakes_nothing(ledger: Ledger) -> None:
    parent, children = family(ledger)
    suspend(ledger, parent)
    resume(ledger, parent)
    late, _ = claim(brief(ledger), parent)
    expired(ledger, parent.task_id)
    plan(ledger, *claim(ledger, parent))
    suspend(ledger, parent)
    ledger.suspensions.wake_children(late, actor="worker:late")
    assert statuses(ledger, children) == ["SUSPENDED"] * len(children)


def test_an_intent_that_nobody_has_carried_out_is_resumed_all_the_same(ledger: Ledger) -> None:
    parent, children = family(ledger)
    ledger.suspensions.request(parent.task_id, actor="key:ops", reason=None, running=True)
    back = resume(ledger, parent)
    assert back is not None
    assert (back.status, back.suspension) == (TaskStatusEnum.PENDING, None)
    plan(ledger, *claim(ledger, parent))
    assert statuses(ledger, children) == ["PENDING"] * len(children)


def test_children_that_were_set_aside_are_not_left_behind(ledger: Ledger) -> None:
    parent, _ = family(ledger)
    suspend(ledger, parent)
    resume(ledger, parent)
    planner, by = claim(ledger, parent)
    assert ledger.families.left_behind() == []
    failed = Ending(TaskStatusEnum.FAILED, error_message="The plan cannot be made.")
    ledger.receipts.finish(planner.task_id, by.token, failed, worker="w1")
    assert [each.task_id for each in ledger.families.left_behind()] == [parent.task_id]
    ledger.cancellations.end_children(parent.task_id, actor="concluder", reason=None)
    assert ledger.families.left_behind() == []
    assert ledger.families.is_complete(parent.task_id)


def test_a_planner_that_still_sends_messages_is_not_taken_for_lost(ledger: Ledger) -> None:
    parent, by = claim(ledger, create(ledger))
    plan(ledger, parent, by)
    suspend(ledger, parent)
    assert ledger.leases.outlived([Hold(parent.task_id, by.token, by.job_id)]) == set()
