"""Cancellation: the intent is stored first, then everything that waits ends at once.

A task whose code runs learns of the intent through its next report, or through `is_aborted()`,
and ends itself; where it does not, its process is ended after a grace. A parent ends when the last
of its children has. CANCELED is written when none of the task's code runs any more, or, by the
reaper, when its worker's lease has ended and its writes are refused.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.database import Document
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import BRIEF, TERMINAL_VALUES, ReceiptStore
from app.receipts.transition import NOW, Move, earlier, literal

BEFORE_START: Final = "canceled before it started"
WHILE_RUNNING: Final = "canceled while it ran, at its own checkpoint"
BY_FORCE: Final = "canceled while it ran, its process was ended"

PER_SWEEP: Final = 1_000

WAITING: Final = (TaskStatusEnum.PENDING, TaskStatusEnum.SUSPENDED)


class CancellationStore:
    """Stores intents and ends what waits."""

    def __init__(self, receipts: ReceiptStore) -> None:
        self._receipts = receipts
        self._tasks = receipts.tasks

    def request(self, task_id: str, *, actor: str, reason: str | None) -> None:
        """Stores the intent on an open task, the first one only; a terminal task stays as it is."""
        sets = {"cancellation": _intent(actor, reason)}
        guard = {"status": {"$nin": TERMINAL_VALUES}, "cancellation": None}
        self._receipts.change(task_id, sets, guard=guard)

    def apply(self, task_id: str) -> Receipt:
        """Does what the stored intent allows now, to the task and its children; safe to repeat."""
        receipt = self._receipts.get(task_id)
        if receipt.cancellation is None or receipt.is_terminal:
            return receipt
        intent = receipt.cancellation
        self.end_children(task_id, actor=intent.actor, reason=intent.reason)
        return self._end_waiting(receipt) or self._receipts.get(task_id)

    def unapplied(self) -> list[str]:
        """Ids of tasks whose cancellation is stored and may not be carried out, a bounded page.

        Tasks that wait, and parents, whose children may not have been told.
        """
        is_due = [
            {"status": {"$in": [status.value for status in WAITING]}},
            {"status": TaskStatusEnum.PROCESSING.value, "fan_out": {"$ne": None}},
        ]
        query = {"cancellation.requested_at": {"$exists": True}, "$or": is_due}
        return [row["_id"] for row in self._tasks.find(query, {"_id": 1}, limit=PER_SWEEP)]

    def overdue(self, task_ids: Sequence[str], *, keeper: str, grace: timedelta) -> list[Receipt]:
        """Those of the tasks that `keeper` holds and that were asked to end a grace ago."""
        asked = {"$lte": ["$cancellation.requested_at", earlier(grace)]}
        query = {
            "_id": {"$in": list(task_ids)},
            "lease.keeper": keeper,
            "cancellation": {"$ne": None},
            "$expr": asked,
        }
        return [Receipt.from_document(row) for row in self._tasks.find(query, BRIEF)]

    def record_end(self, receipt: Receipt, *, outcome: str) -> Receipt | None:
        """CANCELED, once none of the task's code runs; None where it ended in another way."""
        assert receipt.cancellation is not None
        move = Move(
            (TaskStatusEnum.PROCESSING,),
            TaskStatusEnum.CANCELED,
            actor=receipt.cancellation.actor,
            reason=receipt.cancellation.reason,
        )
        sets = {"cancellation.outcome": literal(outcome)}
        guard = {"lease.token": receipt.lease_token}
        canceled = self._receipts.move(receipt.task_id, move, sets=sets, guard=guard)
        if canceled is not None:
            reason = f"the parent task is {canceled.status}"
            self.end_children(canceled.task_id, actor=move.actor, reason=reason)
        return canceled

    def end_children(self, parent_id: str, *, actor: str, reason: str | None) -> None:
        """Cancels the children that wait and asks those that run to end; safe to repeat.

        Two writes, however many they are.
        """
        of_parent = {"parent_task_id": parent_id}
        move = Move(WAITING, TaskStatusEnum.CANCELED, actor=actor, reason=reason)
        ended = {"cancellation": {**_intent(actor, reason), "outcome": BEFORE_START}}
        self._receipts.move_many(move, sets=ended, among=of_parent)
        self._receipts.change_many(
            {"cancellation": _intent(actor, reason)},
            among={**of_parent, "status": {"$nin": TERMINAL_VALUES}, "cancellation": None},
        )

    def _end_waiting(self, receipt: Receipt) -> Receipt | None:
        if receipt.cancellation is None:
            return None
        move = Move(
            WAITING,
            TaskStatusEnum.CANCELED,
            actor=receipt.cancellation.actor,
            reason=receipt.cancellation.reason,
        )
        sets = {"cancellation.outcome": literal(BEFORE_START)}
        return self._receipts.move(receipt.task_id, move, sets=sets, guard={})


def _intent(actor: str, reason: str | None) -> Document:
    return {
        "requested_at": NOW,
        "actor": literal(actor),
        "reason": literal(reason),
        "outcome": None,
    }
