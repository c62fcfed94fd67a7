"""Leases: a keeper renews those of all its running tasks in one write, a reaper ends the others.

Only MongoDB's clock decides whether a lease has expired.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import structlog
from pymongo.errors import OperationFailure

from app.receipts.cancellation import CancellationStore
from app.receipts.family import RELEASED
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import BRIEF, ReceiptStore
from app.receipts.transition import NOW, Move, later, literal

log = structlog.get_logger(__name__)

REAPED_PER_SWEEP: Final = 1_000
ACTOR: Final = "reaper"


class LeaseStore:
    """What keepers and the reaper do with the leases on receipts."""

    def __init__(
        self, receipts: ReceiptStore, cancellations: CancellationStore, *, lease: timedelta
    ) -> None:
        self._receipts = receipts
        self._cancellations = cancellations
        self._tasks = receipts.tasks
        self._lease = lease

    def renew(self, task_ids: Collection[str], *, keeper: str) -> int:
        """Extends the leases that `keeper` holds among the tasks, and counts them."""
        result = self._tasks.update_many(
            {"_id": {"$in": list(task_ids)}, "lease.keeper": keeper},
            [{"$set": {"lease.expires_at": later(self._lease)}}],
        )
        return result.matched_count

    def reap(self) -> list[Receipt]:
        """Moves each task whose lease has expired on, and returns those that it moved.

        To PENDING for the next attempt while there is one, to FAILED naming the lost worker
        after that, to CANCELED where a cancellation is waiting.
        """
        now = self._now()
        expired = self._tasks.find(
            {"lease.expires_at": {"$lt": now}}, BRIEF, limit=REAPED_PER_SWEEP
        )
        reaped = []
        for document in expired:
            try:
                moved = self._reap_one(Receipt.from_document(document), document["lease"])
            except OperationFailure as exc:  # one that cannot be moved must not hold up the others
                log.error("lease.reap_failed", task_id=document["_id"], error=str(exc))
                continue
            if moved is not None:
                reaped.append(moved)
        return reaped

    def _end_children(self, parent: Receipt | None) -> Receipt | None:
        """A parent's worker may have been lost while it was planning children."""
        if parent is not None and parent.is_terminal:
            reason = f"the parent task is {parent.status}"
            self._cancellations.end_children(parent.task_id, actor=ACTOR, reason=reason)
        return parent

    def _reap_one(self, receipt: Receipt, lease: dict[str, str]) -> Receipt | None:
        worker, token = lease["worker"], lease["token"]
        guard = {"lease.token": token, "$expr": {"$lt": ["$lease.expires_at", NOW]}}
        lost = f"The worker {worker} was lost while it ran attempt {receipt.attempt}."
        if receipt.cancellation is not None:
            move = _reaped(TaskStatusEnum.CANCELED, lost, worker)
            sets = {"cancellation.outcome": literal("its worker was lost")}
            return self._end_children(
                self._receipts.move(receipt.task_id, move, sets=sets, guard=guard)
            )
        if receipt.fanned_out and receipt.conclusions < receipt.max_attempts:
            return self._receipts.change(receipt.task_id, RELEASED, guard=guard)
        if not receipt.fanned_out and receipt.attempt < receipt.max_attempts:
            move = _reaped(TaskStatusEnum.PENDING, lost, worker)
            return self._receipts.requeue(receipt.task_id, move, guard=guard)
        message = f"{lost} No attempt is left of {receipt.max_attempts}."
        move = _reaped(TaskStatusEnum.FAILED, message, worker)
        sets = {"error_message": literal(message)}
        return self._end_children(
            self._receipts.move(receipt.task_id, move, sets=sets, guard=guard)
        )

    def _now(self) -> datetime:
        now: datetime = self._tasks.database.command("hello")["localTime"]
        return now


def _reaped(to: TaskStatusEnum, reason: str, worker: str) -> Move:
    return Move((TaskStatusEnum.PROCESSING,), to, actor=ACTOR, reason=reason, worker=worker)
