"""What is asked of a family reaches every child, also one that moves between statuses meanwhile.

MongoDB may go on between any two rows of a write with what was written since; here it does so after
each row, as it does by itself where a write is long or the machine is slow.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

import pytest

from app.audit.archive import Archive
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move
from tests.integration.receipts import claim, create, holder

AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
FEW: Final = 8
MANY: Final = 200
ROUNDS: Final = 10
READS: Final = 150
YIELDING: Final = "internalQueryExecYieldIterations"
TAKEN: Final = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.PROCESSING, actor="worker:w1")
FAULT: Final = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1")


@pytest.fixture
def ledger(ledger: Ledger) -> Iterator[Ledger]:
    """A ledger whose MongoDB lets others in after each row that it reads."""
    ledger.receipts.ensure_indexes()
    admin = ledger.receipts.tasks.database.client.admin
    before = admin.command({"setParameter": 1, YIELDING: 1})["was"]
    yield ledger
    admin.command({"setParameter": 1, YIELDING: before})


def family(ledger: Ledger, size: int) -> tuple[Receipt, list[Receipt]]:
    parent, by = claim(ledger, create(ledger))
    pieces = [Piece(ordinal, [ordinal], 1) for ordinal in range(size)]
    ledger.families.create_children(parent, "test_piece", pieces, at=AT)
    assert ledger.families.fan_out(parent, by.token, units=size) is not None
    return parent, ledger.families.waiting(parent.task_id)


def suspend(ledger: Ledger, parent: Receipt) -> None:
    ledger.suspensions.request(parent.task_id, actor="key:ops", reason="night", running=True)
    ledger.suspensions.apply(parent.task_id)


def sweep(ledger: Ledger) -> None:
    for task_id in ledger.suspensions.unapplied():
        ledger.suspensions.apply(task_id)


def statuses(ledger: Ledger, children: Sequence[Receipt]) -> set[str]:
    ids = [child.task_id for child in children]
    return {receipt.status for receipt in ledger.receipts.find_many(ids)}


def fail_again_and_again(ledger: Ledger, child: Receipt, stop: Event) -> None:
    """Attempts of a child that end in a fault at once, for as long as it may be claimed."""
    while not stop.is_set():
        by = holder()
        if ledger.receipts.claim(child.task_id, by) is not None:
            guard = {"lease.token": by.token}
            assert ledger.receipts.requeue(child.task_id, FAULT, guard=guard) is not None


def test_a_pause_reaches_every_child(ledger: Ledger) -> None:
    for _ in range(ROUNDS):
        parent, children = family(ledger, FEW)
        stop = Event()
        with ThreadPoolExecutor(len(children)) as pool:
            attempts = [pool.submit(fail_again_and_again, ledger, each, stop) for each in children]
            try:
                suspend(ledger, parent)
            finally:
                stop.set()
            for attempt in attempts:
                attempt.result()
        sweep(ledger)
        assert statuses(ledger, children) == {"SUSPENDED"}


def test_a_resume_reaches_every_child(ledger: Ledger) -> None:
    for _ in range(3):
        parent, children = family(ledger, MANY)
        ledger.receipts.move_many(TAKEN, sets={}, among={"parent_task_id": parent.task_id})
        suspend(ledger, parent)  # the children at their next checkpoints
        assert ledger.suspensions.resume(parent.task_id, actor="key:ops") is not None
        planner, _ = claim(ledger, parent)

        def fail(children: Sequence[Receipt] = children) -> None:
            for child in reversed(children):
                assert ledger.receipts.requeue(child.task_id, FAULT, guard={}) is not None

        with ThreadPoolExecutor(1) as pool:
            failing = pool.submit(fail)
            ledger.suspensions.wake_children(planner, actor="worker:w1")
            failing.result()
        sweep(ledger)
        assert statuses(ledger, children) == {"PENDING"}


def while_moving(ledger: Ledger, children: Sequence[Receipt], read: Callable[[], None]) -> None:
    """Calls `read` while the children are taken and given back, each alone."""
    stop = Event()

    def move() -> None:
        while not stop.is_set():
            for each in (TAKEN, FAULT):
                for child in children:
                    ledger.receipts.move_many(each, sets={}, among={"_id": child.task_id})

    with ThreadPoolExecutor(1) as pool:
        moves = pool.submit(move)
        try:
            for _ in range(READS):
                read()
        finally:
            stop.set()
    moves.result()


def test_a_verification_sees_each_child_once(ledger: Ledger) -> None:
    parent, children = family(ledger, FEW)
    archive = Archive(ledger.receipts.tasks.database)

    def read() -> None:
        found = archive.children([parent.task_id])[parent.task_id]
        assert (found.count, found.units, found.open_) == (FEW, FEW, FEW)
        assert (found.first_ordinal, found.last_ordinal) == (0, FEW - 1)

    while_moving(ledger, children, read)


def test_progress_sums_each_child_once(ledger: Ledger) -> None:
    parent, children = family(ledger, FEW)
    done = {"$set": {"progress": asdict(replace(begin(1, AT), done=1))}}
    ledger.receipts.tasks.update_many({"parent_task_id": parent.task_id}, done)

    def read() -> None:
        summed = ledger.families.roll_up(parent.task_id, interval=timedelta(0))
        assert summed is not None
        assert summed.progress is not None
        assert summed.progress.done == FEW

    while_moving(ledger, children, read)
