"""Cancellation: the intent is stored first, then everything that waits ends at once.

A task whose code runs learns of the intent through its next report, or through `is_aborted()`,
and ends itself; where it does not, its process is ended after a grace. A parent ends when the last
of its children has. CANCELED is written when none of the task's code runs any more, or, by the
reaper, when its worker's lease has ended and its writes are refused.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from app.database import Document
from app.receipts.family import FamilyStore
from app.receipts.receipt import Receipt
from app.receipts.status import TERMINAL_VALUES, TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.receipts.tally import OTHER, Measure, added
from app.receipts.transition import NOW, Move, earlier, later, literal
from app.receipts.write import BRIEF

BEFORE_START: Final = "canceled before it started"
WHILE_WAITING: Final = "canceled while it waited for its next attempt"
WHILE_RUNNING: Final = "canceled while it ran, at its own checkpoint"
BY_FORCE: Final = "canceled while it ran, its process was ended"
WORKER_LOST: Final = "its worker was lost"
UNREACHABLE: Final = "unreachable so far: its worker has not ended it in time"

# Over the patience between the signals that end a process, and a beat of its keeper.
UNREACHABLE_AFTER: Final = timedelta(seconds=5)

PER_SWEEP: Final = 1_000

WAITING: Final = (TaskStatusEnum.PENDING, TaskStatusEnum.SUSPENDED)
RUNNING: Final = (TaskStatusEnum.PROCESSING,)
_WAITED: Final[Document] = {"$cond": [{"$eq": ["$attempt", 0]}, BEFORE_START, WHILE_WAITING]}


class CancellationStore:
    """Stores intents and ends what waits."""

    def __init__(self, receipts: ReceiptStore, families: FamilyStore, *, grace: timedelta) -> None:
        """`grace` is how long a running job has to end itself."""
        self._receipts = receipts
        self._families = families
        self._tasks = receipts.tasks
        self._grace = grace

    def request(self, task_id: str, *, actor: str, reason: str | None) -> None:
        """Stores the intent on an open task, the first one only; a terminal task stays as it is."""
        guard = {"status": {"$nin": TERMINAL_VALUES}, "cancellation": None}
        self._receipts.change(task_id, {"cancellation": self._intent(actor, reason)}, guard=guard)

    def apply(self, task_id: str) -> Receipt:
        """Does what the stored intent allows now, to the task and its children; safe to repeat."""
        receipt = self._receipts.get(task_id)
        if receipt.cancellation is None or receipt.is_terminal:
            return receipt
        intent = receipt.cancellation
        self.end_children(task_id, actor=intent.actor, reason=intent.reason)
        if not self._families.is_complete(task_id):
            return receipt  # a waiting parent, too, ends after its children's code
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

    def overdue(self, task_ids: Sequence[str], *, keeper: str) -> list[Receipt]:
        """Those of the tasks that `keeper` holds and that have not ended by their deadline."""
        query = {
            "_id": {"$in": list(task_ids)},
            "lease.keeper": keeper,
            "cancellation": {"$ne": None},
            "$expr": {"$lte": ["$cancellation.deadline_at", NOW]},
        }
        return [Receipt.from_document(row) for row in self._tasks.find(query, BRIEF)]

    def note_unreachable(self) -> int:
        """Says on the receipts of jobs that outlast even force that their workers do not answer."""
        late = {"$lte": ["$cancellation.deadline_at", earlier(UNREACHABLE_AFTER)]}
        return self._receipts.change_many(
            {"cancellation.outcome": literal(UNREACHABLE)},
            among={
                "status": TaskStatusEnum.PROCESSING.value,
                "cancellation.requested_at": {"$exists": True},
                "cancellation.outcome": None,
                "lease": {"$ne": None},
                "$expr": late,
            },
        )

    def record_end(self, receipt: Receipt, *, outcome: str) -> Receipt | None:
        """CANCELED, once none of the task's code runs; None where it ended in another way.

        PENDING where its children's code does, of an earlier plan: `apply` ends it after that.
        """
        assert receipt.cancellation is not None
        actor, guard = receipt.cancellation.actor, {"lease.token": receipt.lease_token}
        if self.waits_for_children(receipt):
            move = Move(RUNNING, TaskStatusEnum.PENDING, actor=actor, reason=outcome)
            return self._receipts.requeue(receipt.task_id, move, guard=guard)
        reason = receipt.cancellation.reason
        move = Move(RUNNING, TaskStatusEnum.CANCELED, actor=actor, reason=reason)
        sets = {"cancellation.outcome": literal(outcome)}
        canceled = self._receipts.move(receipt.task_id, move, sets=sets, guard=guard)
        if canceled is not None:
            reason = f"the parent task is {canceled.status}"
            self.end_children(canceled.task_id, actor=move.actor, reason=reason)
        return canceled

    def waits_for_children(self, receipt: Receipt) -> bool:
        """Whether a task that is to end has children whose code runs, when all of them are told."""
        intent = receipt.cancellation
        if intent is None or self._families.is_complete(receipt.task_id):
            return False
        self.end_children(receipt.task_id, actor=intent.actor, reason=intent.reason)
        return not self._families.is_complete(receipt.task_id)

    def end_children(self, parent_id: str, *, actor: str, reason: str | None) -> None:
        """Cancels the children that wait and asks those that run to end; safe to repeat.

        Two writes, however many they are.
        """
        of_parent = {"parent_task_id": parent_id}
        self._cancel_waiting(of_parent, actor=actor, reason=reason)
        self._ask(of_parent, actor=actor, reason=reason)

    def end_many(self, task_ids: Sequence[str], *, actor: str, reason: str | None) -> int:
        """Asks for the end of all these, and counts those that it ended at once: they had never
        begun. `apply` does the rest for the others.
        """
        among: Document = {"_id": {"$in": list(task_ids)}}
        ended = self._cancel_waiting({**among, "attempt": 0}, actor=actor, reason=reason)
        self._ask(among, actor=actor, reason=reason)
        return ended

    def _cancel_waiting(
        self, among: Mapping[str, object], *, actor: str, reason: str | None
    ) -> int:
        move = Move(WAITING, TaskStatusEnum.CANCELED, actor=actor, reason=reason)
        intent = {"$ifNull": ["$cancellation", self._intent(actor, reason)]}
        sets = {"cancellation": {"$mergeObjects": [intent, {"outcome": _WAITED}]}}
        ended = self._receipts.move_many(move, sets=sets, among=among)
        self._receipts.cache.tally.add(added(Measure.KILLED, WHILE_WAITING, OTHER, ended))
        return ended

    def _ask(self, among: Mapping[str, object], *, actor: str, reason: str | None) -> None:
        self._receipts.change_many(
            {"cancellation": self._intent(actor, reason)},
            among={**among, "status": {"$nin": TERMINAL_VALUES}, "cancellation": None},
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
        sets = {"cancellation.outcome": _WAITED}
        return self._receipts.move(receipt.task_id, move, sets=sets, guard={})

    def _intent(self, actor: str, reason: str | None) -> Document:
        return {
            "requested_at": NOW,
            "deadline_at": later(self._grace),
            "actor": literal(actor),
            "reason": literal(reason),
            "outcome": None,
        }
