"""Leases: a keeper renews those of all its running tasks in one write, a reaper ends the others.

Only MongoDB's clock decides whether a lease has expired.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from pymongo import timeout
from pymongo.errors import OperationFailure, PyMongoError

from app.database import Document, server_time
from app.receipts.cancellation import WORKER_LOST, CancellationStore
from app.receipts.family import RELEASED
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.receipts.tally import Measure, added
from app.receipts.transition import NOW, Move, later, literal
from app.receipts.write import BRIEF

log = structlog.get_logger(__name__)

REAPED_PER_SWEEP: Final = 1_000
# A locked receipt answers when its transaction ends; leases are much longer than this.
RENEWAL_S: Final = 1.0
ACTOR: Final = "reaper"


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease as its keeper knows it: `job_id` is Celery's id of the message it came with."""

    task_id: str
    token: str
    job_id: str


class LeaseStore:
    """What keepers and the reaper do with the leases on receipts."""

    def __init__(
        self, receipts: ReceiptStore, cancellations: CancellationStore, *, lease: timedelta
    ) -> None:
        """Both stores are hurried: one locked receipt must not cost the others their leases."""
        self._receipts = receipts
        self._cancellations = cancellations
        self._tasks = receipts.tasks
        self._lease = lease

    def renew(self, running: Mapping[str, str], *, keeper: str) -> int:
        """Extends the leases that `keeper` holds for the running jobs, and counts them.

        `running` has the task of each job, by the job's id: a second message of a task that waits
        in the same worker keeps nothing for a job that is dead. Where some are locked by open
        transactions, all others are renewed before the driver's time-out is raised.
        """
        try:
            return self._renew(running, keeper)
        except PyMongoError as exc:
            if not exc.timeout or len(running) == 1:
                raise
        count = 0
        late: PyMongoError | None = None
        for job_id, task_id in running.items():
            try:
                count += self._renew({job_id: task_id}, keeper)
            except PyMongoError as exc:
                if not exc.timeout:
                    raise
                late = exc
        if late is not None:
            raise late
        return count

    def _renew(self, running: Mapping[str, str], keeper: str) -> int:
        with timeout(RENEWAL_S):
            result = self._tasks.update_many(
                {
                    "_id": {"$in": list(running.values())},
                    "job_id": {"$in": list(running)},
                    "lease.keeper": keeper,
                },
                [{"$set": {"lease.expires_at": later(self._lease)}}],
            )
        return result.matched_count

    def record_end(self, receipt: Receipt, *, outcome: str) -> Receipt | None:
        """CANCELED, once none of the task's code runs; None where it ended in another way.

        `OperationFailure` where it is locked by what its job left behind: try again later.
        """
        return self._cancellations.record_end(receipt, outcome=outcome)

    def held(self, task_ids: Collection[str], *, keeper: str) -> list[Hold]:
        """The leases that `keeper` has among the tasks."""
        query = {"_id": {"$in": list(task_ids)}, "lease.keeper": keeper}
        rows = self._tasks.find(query, {"lease.token": 1, "job_id": 1})
        return [Hold(row["_id"], row["lease"]["token"], row["job_id"]) for row in rows]

    def outlived(self, holds: Collection[Hold]) -> set[str]:
        """The tokens among these that their tasks do not know any more.

        Somebody else has moved the tasks on: a job that holds such a token works for nobody.
        """
        ids = [hold.task_id for hold in holds]
        rows = self._tasks.find({"_id": {"$in": ids}}, {"last_token": 1})
        last = {row["_id"]: row["last_token"] for row in rows}
        return {hold.token for hold in holds if last.get(hold.task_id) != hold.token}

    def reap(self) -> list[Receipt]:
        """Moves each task whose lease has expired on, and returns those that it moved.

        To PENDING for the next attempt while there is one, to FAILED naming the lost worker
        after that, to CANCELED where a cancellation is waiting; to PENDING there, too, while code
        of its children runs.
        """
        now = server_time(self._tasks.database)
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
        self._count(reaped)
        return reaped

    def _count(self, reaped: Collection[Receipt]) -> None:
        counts = Counter[str]()
        for receipt in reaped:
            counts.update(added(Measure.EXPIRED, receipt.status, receipt.task_type))
        self._receipts.cache.tally.add(counts)

    def _reap_one(self, receipt: Receipt, lease: dict[str, str]) -> Receipt | None:
        worker = lease["worker"]
        guard: Document = {
            "lease.token": lease["token"],
            "$expr": {"$lt": ["$lease.expires_at", NOW]},
        }
        lost = f"The worker {worker} was lost while it ran attempt {receipt.attempt}."
        if receipt.cancellation is not None:
            if self._cancellations.waits_for_children(receipt):
                move = _reaped(TaskStatusEnum.PENDING, lost, worker)
                return self._receipts.requeue(receipt.task_id, move, guard=guard)
            sets = {"cancellation.outcome": literal(WORKER_LOST)}
            move = _reaped(TaskStatusEnum.CANCELED, lost, worker)
            return self._end(receipt, move, sets=sets, guard=guard)
        guard["cancellation"] = None  # where it was asked for since, the next sweep cancels it
        if not receipt.has_another_attempt:
            message = f"{lost} No attempt is left of {receipt.max_attempts}."
            sets = {"error_message": literal(message)}
            move = _reaped(TaskStatusEnum.FAILED, message, worker)
            return self._end(receipt, move, sets=sets, guard=guard)
        if receipt.fanned_out:
            # Without its token: the lost conclusion is to learn that it works for nobody.
            released = {**RELEASED, "last_token": None}
            return self._receipts.change(receipt.task_id, released, guard=guard)
        move = _reaped(TaskStatusEnum.PENDING, lost, worker)
        return self._receipts.requeue(receipt.task_id, move, guard=guard)

    def _end(
        self, receipt: Receipt, move: Move, *, sets: Document, guard: Document
    ) -> Receipt | None:
        """Its worker may have been lost while it was planning: its children end with it."""
        ended = self._receipts.move(receipt.task_id, move, sets=sets, guard=guard)
        if ended is not None:
            reason = f"the parent task is {ended.status}"
            self._cancellations.end_children(ended.task_id, actor=ACTOR, reason=reason)
        return ended


def _reaped(to: TaskStatusEnum, reason: str, worker: str) -> Move:
    return Move((TaskStatusEnum.PROCESSING,), to, actor=ACTOR, reason=reason, worker=worker)
