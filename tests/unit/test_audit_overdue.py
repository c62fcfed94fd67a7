"""What is overdue, and from which moment on."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.audit import family, overdue
from app.audit.family import Children
from app.audit.overdue import Sight
from app.database import Document
from app.receipts.status import TaskStatusEnum
from tests.unit.test_audit_history import AT, SECOND, S, receipt

MARGIN = timedelta(seconds=60)
MOMENT = timedelta(milliseconds=1)
PARENT = {"units": 2, "conclusions": 0, "called_at": AT}
ASKED = {"requested_at": AT, "deadline_at": AT, "outcome": None}
OPEN = Children(2, 1, 2, 0, 1, None)
ENDED = Children(2, 0, 2, 0, 1, AT)

Late = Callable[[Document, Sight], str | None]


def sight(
    age: timedelta,
    *,
    children: Mapping[str, Children] | None = None,
    depths: Mapping[str, int] | None = None,
    doors: Mapping[str, datetime] | None = None,
) -> Sight:
    """The look of somebody `age` after `AT`."""
    return Sight(AT + age, MARGIN, children or {}, depths or {}, doors or {})


def lease(**changes: Any) -> Document:
    return {"token": "t", "worker": "w1", "expires_at": AT, **changes}


WAITING = receipt(S.PENDING, published_at=None)
HELD = WAITING | {"admission": {"state": "held", "queue": "test.jobs", "at": AT}}
RUNNING = receipt(S.PENDING, S.PROCESSING, lease=lease())
AT_REST = receipt(S.PENDING, S.PROCESSING, lease=None, fan_out=PARENT)

LATE: list[tuple[Late, Document]] = [
    (overdue.lost_lease, RUNNING),
    (overdue.unsent_message, WAITING),
    (overdue.shut_door, HELD),
    (overdue.unsent_message, WAITING | {"created_at": AT - MARGIN, "not_before": AT}),
    (overdue.idle_cancellation, WAITING | {"cancellation": ASKED}),
    (overdue.idle_cancellation, receipt(S.PENDING, S.SUSPENDED, cancellation=ASKED)),
    (overdue.idle_cancellation, RUNNING | {"cancellation": ASKED}),
    (overdue.idle_suspension, WAITING | {"suspension": ASKED}),
    (overdue.idle_suspension, AT_REST | {"suspension": ASKED}),
    (overdue.uncalled_parent, AT_REST),
]


@pytest.mark.parametrize(("late", "document"), LATE)
def test_nothing_is_late_before_its_margin_is_over(late: Late, document: Document) -> None:
    assert late(document, sight(MARGIN)) is None
    found = late(document, sight(MARGIN + MOMENT))
    assert found is not None
    assert found.endswith(" 60 s ago")


@pytest.mark.parametrize("late", dict(LATE))
@pytest.mark.parametrize("status", [S.COMPLETED, S.FAILED, S.CANCELED, S.SKIPPED])
def test_a_task_that_has_ended_is_never_late(late: Late, status: TaskStatusEnum) -> None:
    document = receipt(S.PENDING, status, cancellation=ASKED, suspension=ASKED, lease=lease())
    assert late(document, sight(100 * MARGIN)) is None


def test_a_queue_that_is_merely_long_is_not_late() -> None:
    sent = WAITING | {"published_at": AT + SECOND}
    queue, much_later = sent["queue"], 100 * MARGIN
    assert overdue.unsent_message(sent, sight(much_later, depths={queue: 1})) is None
    assert overdue.unsent_message(sent, sight(much_later)) is None
    assert overdue.unsent_message(sent, sight(MARGIN + SECOND, depths={queue: 0})) is None
    found = overdue.unsent_message(sent, sight(MARGIN + SECOND + MOMENT, depths={queue: 0}))
    assert found == "its queue is empty, and its message was sent 60 s ago"


def test_a_task_that_waits_for_room_is_late_where_nobody_looks_for_it() -> None:
    looked = {HELD["namespace_id"]: AT + 99 * MARGIN}
    assert overdue.shut_door(HELD, sight(100 * MARGIN, doors=looked)) is None
    assert overdue.shut_door(HELD, sight(100 * MARGIN + MOMENT, doors=looked))
    assert overdue.unsent_message(HELD, sight(100 * MARGIN)) is None
    let_in = HELD | {"admission": {**HELD["admission"], "state": "admitted"}}
    assert overdue.shut_door(let_in, sight(100 * MARGIN)) is None
    assert overdue.unsent_message(let_in, sight(100 * MARGIN))


def test_a_task_that_is_to_end_or_to_pause_needs_no_message() -> None:
    for name in ("cancellation", "suspension"):
        assert overdue.unsent_message(WAITING | {name: ASKED}, sight(100 * MARGIN)) is None


def test_a_waiting_parent_ends_after_its_children() -> None:
    document = WAITING | {"cancellation": ASKED}
    ids = document["_id"]
    assert overdue.idle_cancellation(document, sight(100 * MARGIN, children={ids: OPEN})) is None
    assert overdue.idle_cancellation(document, sight(100 * MARGIN, children={ids: ENDED}))


def test_a_worker_that_does_not_answer_is_on_the_receipt_and_breaks_nothing() -> None:
    said = RUNNING | {"cancellation": {**ASKED, "outcome": "unreachable so far"}}
    assert overdue.idle_cancellation(said, sight(100 * MARGIN)) is None


def test_a_job_that_runs_may_reach_its_checkpoint_later() -> None:
    assert overdue.idle_suspension(RUNNING | {"suspension": ASKED}, sight(100 * MARGIN)) is None
    both = WAITING | {"suspension": ASKED, "cancellation": ASKED}
    assert overdue.idle_suspension(both, sight(100 * MARGIN)) is None


def test_a_parent_is_called_after_the_last_of_its_children() -> None:
    ids = AT_REST["_id"]
    assert overdue.uncalled_parent(AT_REST, sight(100 * MARGIN, children={ids: OPEN})) is None
    later = Children(2, 0, 2, 0, 1, AT + SECOND)
    assert overdue.uncalled_parent(AT_REST, sight(MARGIN + SECOND, children={ids: later})) is None
    assert overdue.uncalled_parent(AT_REST | {"lease": lease()}, sight(100 * MARGIN)) is None
    called = AT_REST | {"fan_out": {**PARENT, "called_at": AT + 99 * MARGIN}}
    assert overdue.uncalled_parent(called, sight(100 * MARGIN, children={ids: ENDED})) is None


def test_children_are_told_by_the_parent_whose_own_code_runs() -> None:
    child, parent = receipt(S.PENDING), AT_REST | {"cancellation": ASKED}
    much_later = sight(100 * MARGIN)
    assert overdue.untold_child(child, parent, sight(MARGIN)) is None
    assert overdue.untold_child(child, parent, much_later)
    assert overdue.untold_child(child, parent | {"lease": lease()}, much_later) is None
    assert overdue.untold_child(child | {"cancellation": ASKED}, parent, much_later) is None
    assert overdue.untold_child(child, AT_REST, much_later) is None


def test_a_child_may_outlive_its_parent_by_the_margin() -> None:
    child = receipt(S.PENDING, S.PROCESSING)
    parent = receipt(S.FAILED, ended_at=AT)
    assert family.outliving(child, parent, now=AT + MARGIN, margin=MARGIN) is None
    assert family.outliving(child, parent, now=AT + MARGIN + MOMENT, margin=MARGIN)
    ended = receipt(S.PENDING, S.FAILED)
    assert family.outliving(ended, parent, now=AT + 100 * MARGIN, margin=MARGIN) is None


def test_a_conclusion_waits_for_children_that_were_planned_before_it() -> None:
    parent = receipt(S.COMPLETED, fan_out=PARENT, ended_at=AT + MARGIN)
    child = receipt(S.PENDING, created_at=AT)
    assert family.early_conclusion(child, parent, clocks=SECOND)
    stray = child | {"created_at": AT + MARGIN + MOMENT}
    assert family.early_conclusion(stray, parent, clocks=SECOND) is None
    ended = receipt(S.FAILED, ended_at=AT + MARGIN + SECOND)
    assert family.early_conclusion(ended, parent, clocks=SECOND) is None
    assert family.early_conclusion(ended, parent, clocks=SECOND - MOMENT)
    failed = receipt(S.FAILED, fan_out=PARENT, ended_at=AT + MARGIN)
    assert family.early_conclusion(child, failed, clocks=SECOND) is None


def test_children_may_be_forgotten_before_a_parent_that_ended_long_ago() -> None:
    day = timedelta(days=1)
    ended = receipt(S.COMPLETED, fan_out=PARENT)
    assert family.has_all_children(ended, now=AT + day - MOMENT, kept=day)
    assert not family.has_all_children(ended, now=AT + day, kept=day)
    assert family.has_all_children(AT_REST, now=AT + 100 * day, kept=day)
    assert not family.has_all_children(receipt(S.PENDING), now=AT, kept=day)


def test_the_children_of_a_parent_are_counted_and_their_units_summed() -> None:
    for flawed in (
        Children(1, 0, 2, 1, 1, None),
        Children(2, 0, 2, 0, 2, None),
        Children(2, 0, 1, 0, 1, None),
        family.NO_CHILDREN,
    ):
        assert family.incomplete(AT_REST, flawed), flawed
    assert family.incomplete(AT_REST, OPEN) is None
    nobody = AT_REST | {"fan_out": {**PARENT, "units": 0}}
    assert family.incomplete(nobody, family.NO_CHILDREN) is None


def test_an_orphan_is_open_or_too_young_to_be_one() -> None:
    day = timedelta(days=1)
    child = receipt(S.PENDING, parent_task_id="tsk_b")
    assert family.orphan(child, now=AT + 100 * day, kept=day) == "its parent tsk_b is not there"
    ended = receipt(S.PENDING, S.FAILED, parent_task_id="tsk_b")
    assert family.orphan(ended, now=AT + day - MOMENT, kept=day)
    assert family.orphan(ended, now=AT + day, kept=day) is None
