"""Reads across statuses miss no task that moves between them meanwhile.

MongoDB may go on between any two rows of a read with what was written since; here it does so after
each row, as it does by itself where a read is long or the machine is slow.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import pytest

from app.query.page import MAX_LIMIT, ListQuery, list_page
from app.receipts.ledger import Ledger
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move
from app.resources.task import FIELDS, OpenTasks, TaskSelection
from tests.integration.receipts import new_task

PENDING, PROCESSING = TaskStatusEnum.PENDING, TaskStatusEnum.PROCESSING
THERE: Final = Move((PENDING,), PROCESSING, actor="worker:test")
BACK: Final = Move((PROCESSING,), PENDING, actor="worker:test")
NAMESPACE: Final = "ns_test"
READS: Final = 300
ENDED: Final = 300
YIELDING: Final = "internalQueryExecYieldIterations"


@pytest.fixture
def ledger(ledger: Ledger) -> Iterator[Ledger]:
    """A ledger whose MongoDB lets others in after each row that it reads.

    Most of its tasks have ended, so that reads of open ones run by the status.
    """
    ledger.receipts.ensure_indexes()
    ledger.receipts.create([new_task(task_type="ended")] * ENDED)
    end = Move((PENDING,), TaskStatusEnum.CANCELED, actor="key:test")
    assert ledger.receipts.move_many(end, sets={}, among={}) == ENDED
    admin = ledger.receipts.tasks.database.client.admin
    before = admin.command({"setParameter": 1, YIELDING: 1})["was"]
    yield ledger
    admin.command({"setParameter": 1, YIELDING: before})


def created(ledger: Ledger, count: int) -> list[str]:
    return [receipt.task_id for receipt in ledger.receipts.create([new_task()] * count)]


def while_moving(ledger: Ledger, task_ids: Sequence[str], read: Callable[[], object]) -> None:
    """Calls `read` while the tasks move to PROCESSING and back, each alone."""
    stop = threading.Event()

    def move() -> int:
        """How many moves it made."""
        made = 0
        while not stop.is_set():
            for each in (THERE, BACK):
                for task_id in task_ids:
                    among = {"_id": task_id}
                    made += ledger.receipts.move_many(each, sets={}, among=among)
        return made

    with ThreadPoolExecutor(1) as pool:
        moves = pool.submit(move)
        try:
            for _ in range(READS):
                read()
        finally:
            stop.set()
    assert moves.result() > READS / 10  # both had their turns


@pytest.mark.parametrize(
    ("asked", "there"), [({}, ENDED + 3), ({"status": ["PENDING", "PROCESSING"]}, 3)]
)
def test_a_list_has_every_task(ledger: Ledger, asked: dict[str, object], there: int) -> None:
    tasks, scope = ledger.receipts.tasks, {"namespace_id": NAMESPACE, "parent_task_id": None}

    def read() -> None:
        page = list_page(
            tasks, scope, ListQuery(also=asked, limit=MAX_LIMIT, include_total=True), FIELDS
        )
        assert len(page.results) == page.total == there

    while_moving(ledger, created(ledger, 3), read)


def test_a_bulk_call_finds_every_open_task(ledger: Ledger) -> None:
    selection = TaskSelection(None, None, None)
    (asking,) = ledger.receipts.create([new_task()])
    at = asking.created_at + timedelta(days=1)
    tasks = OpenTasks(
        ledger.receipts, selection, namespace_id=NAMESPACE, at=at, asking=asking.task_id
    )

    def read() -> None:
        assert len(tasks.some(10)) == tasks.count() == 3

    while_moving(ledger, created(ledger, 3), read)
