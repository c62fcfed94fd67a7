"""Suspension: a person's pause. The intent is stored first, then what waits is set aside at once.

A running job that checkpoints learns of it at its next report, and gives its worker back with the
checkpoint stored. A parent is set aside as soon as its children are told: those that wait with it,
those that run at their next checkpoints. Resuming makes the task PENDING again; a parent
plans anew, which adds nothing, and wakes its children.
"""

from typing import Final

from app.database import AT_ONE_MOMENT, Document
from app.receipts.hold import ABOUT_TO_BE_SENT, BACK_TO_THE_DOOR
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.receipts.transition import NOW, ONE_RETURN_MORE, Move, literal

PER_SWEEP: Final = 1_000

PENDING: Final = TaskStatusEnum.PENDING.value
PROCESSING: Final = TaskStatusEnum.PROCESSING.value
SUSPENDED: Final = TaskStatusEnum.SUSPENDED.value
RESUMED: Final[Document] = {
    "suspension": None,
    **BACK_TO_THE_DOOR,
    "published_at": ABOUT_TO_BE_SENT,
}
LOOKS: Final = 3
# A parent whose children do the work; its own code runs while somebody has its lease.
_AT_REST: Final[Document] = {"status": PROCESSING, "fan_out": {"$ne": None}, "lease": None}
_ITS_CODE_RUNS: Final[Document] = {"status": PROCESSING, "lease": {"$ne": None}}
_OPEN: Final[Document] = {"status": {"$in": [PENDING, PROCESSING]}}
_ASKED: Final[Document] = {"suspension.requested_at": {"$exists": True}, "cancellation": None}


class SuspensionStore:
    """Stores intents, sets aside what waits, and brings it back."""

    def __init__(self, receipts: ReceiptStore) -> None:
        self._receipts = receipts
        self._tasks = receipts.tasks

    def request(self, task_id: str, *, actor: str, reason: str | None, running: bool) -> None:
        """Stores the intent on a task that waits, or runs where `running` allows it; the first one
        only.
        """
        statuses = [PENDING, PROCESSING] if running else [PENDING]
        guard = {"status": {"$in": statuses}, "suspension": None, "cancellation": None}
        self._receipts.change(task_id, {"suspension": _intent(actor, reason)}, guard=guard)

    def apply(self, task_id: str) -> Receipt:
        """Does what the stored intent allows now, to the task and its children; safe to repeat."""
        receipt = self._receipts.get(task_id)
        intent = receipt.suspension
        if intent is None or receipt.cancellation is not None:
            return receipt
        its_code_runs = receipt.lease_token is not None
        if receipt.is_terminal or receipt.status is TaskStatusEnum.SUSPENDED or its_code_runs:
            return receipt
        self._suspend_children(receipt, actor=intent.actor, reason=intent.reason)
        return self._set_aside(receipt) or self._receipts.get(task_id)

    def unapplied(self) -> list[str]:
        """Ids of tasks whose suspension is stored and may not be carried out, a bounded page."""
        query = {**_ASKED, "$or": [{"status": PENDING}, _AT_REST]}
        return [row["_id"] for row in self._tasks.find(query, {"_id": 1}, limit=PER_SWEEP)]

    def resume(self, task_id: str, *, actor: str) -> Receipt | None:
        """Makes a SUSPENDED task PENDING again, or withdraws a pause that has not begun.

        None where there is none. Whoever gets a PENDING receipt sends its message.
        """
        move = Move((TaskStatusEnum.SUSPENDED,), TaskStatusEnum.PENDING, actor=actor)
        for _ in range(LOOKS):  # the task may move on between two of them
            self.apply(task_id)  # one that was half done would leave children behind
            resumed = self._receipts.move(
                task_id, move, sets=RESUMED, guard={"cancellation": None}
            ) or self._withdraw(task_id)
            if resumed is not None:
                return resumed
        return None

    def wake_children(self, parent: Receipt, *, actor: str) -> None:
        """Undoes what a suspension of the parent, before its attempt, did to its children.

        Safe to repeat, and to come late: what a later attempt has done stays.
        """
        plan = {"plan": parent.attempt}
        children: Document = {
            "parent_task_id": parent.task_id,
            "cancellation": None,
            "plan": {"$lt": parent.attempt},
        }
        move = Move((TaskStatusEnum.SUSPENDED,), TaskStatusEnum.PENDING, actor=actor)
        is_open = {"status": {"$in": [PENDING, PROCESSING, SUSPENDED]}}
        while self._are_there({**children, **is_open}):
            self._receipts.change_many({"suspension": None, **plan}, among={**children, **_OPEN})
            self._receipts.move_many(move, sets={**RESUMED, **plan}, among=children)

    def _suspend_children(self, parent: Receipt, *, actor: str, reason: str | None) -> None:
        """Safe to repeat, and to come late: what a later attempt of the parent woke stays awake."""
        plan = {"plan": parent.attempt}
        children: Document = {
            "parent_task_id": parent.task_id,
            "cancellation": None,
            "plan": {"$lte": parent.attempt},
        }
        intent = {"suspension": _intent(actor, reason), **plan}
        move = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.SUSPENDED, actor=actor, reason=reason)
        unasked: Document = {"status": PROCESSING, "suspension": None}
        while self._are_there({**children, "$or": [{"status": PENDING}, unasked]}):
            self._receipts.move_many(move, sets=intent, among=children)
            self._receipts.change_many(intent, among={**children, **unasked})
        # What an earlier attempt set aside must not be woken by that one any more.
        before = {**children, "status": SUSPENDED, "plan": {"$lt": parent.attempt}}
        self._receipts.change_many(plan, among=before)

    def _are_there(self, children: Document) -> bool:
        """Whether there are such children. Writes to many are repeated while there are: they pass
        by one that goes back to PENDING between two of them, or within one.
        """
        tasks = self._tasks.with_options(read_concern=AT_ONE_MOMENT)
        return tasks.count_documents(children, limit=1) > 0

    def _set_aside(self, receipt: Receipt) -> Receipt | None:
        assert receipt.suspension is not None
        actor, reason = receipt.suspension.actor, receipt.suspension.reason
        move = Move((receipt.status,), TaskStatusEnum.SUSPENDED, actor=actor, reason=reason)
        if receipt.status is TaskStatusEnum.PENDING:
            return self._receipts.move(receipt.task_id, move, sets={}, guard=_ASKED)
        # The attempt that planned ended without a fault, and may still be sending messages; the
        # next one plans the same again.
        sets = {"fan_out": None, "returns": ONE_RETURN_MORE, "last_token": "$last_token"}
        guard = {**_ASKED, **_AT_REST}
        return self._receipts.move(receipt.task_id, move, sets=sets, guard=guard)

    def _withdraw(self, task_id: str) -> Receipt | None:
        return self._receipts.change(
            task_id, {"suspension": None}, guard={**_ASKED, **_ITS_CODE_RUNS}
        )


def _intent(actor: str, reason: str | None) -> Document:
    return {"requested_at": NOW, "actor": literal(actor), "reason": literal(reason)}
