"""What waits: tasks that need a message, and a waiting task's place in the queue."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.database import Document, server_time
from app.receipts.hold import HELD_QUEUE, STATE, Admission
from app.receipts.publisher import Publisher
from app.receipts.receipt import NO_PLACE, Place, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.receipts.transition import NOW, earlier
from app.receipts.write import BRIEF

PENDING: Final = TaskStatusEnum.PENDING.value
SENT_PER_SWEEP: Final = 1_000
POSITIONS_COUNTED: Final = 10_000
RECENT: Final = timedelta(minutes=5)


class QueueStore:
    """PENDING receipts as the republisher and a waiting user see them."""

    def __init__(self, receipts: ReceiptStore, *, lost_after: timedelta) -> None:
        """`lost_after` is how long a message may be on its way before it can count as lost."""
        self._receipts = receipts
        self._tasks = receipts.tasks
        self._lost_after = lost_after
        self._missing: dict[str, int] = {}  # by queue, at the last sweep

    def mark_unpublished(self, task_ids: Sequence[str]) -> None:
        """Records that no message is on its way; the republisher sends one at its next tick."""
        self._mark(task_ids, published_at=None)

    def republish(self, publisher: Publisher) -> int:
        """Sends what has no message, and again what must have lost it; counts what was sent.

        Lost: where fewer messages wait on a queue than receipts do, now and at the sweep before,
        the oldest of these, as many as were missing both times. A queue that is merely long has
        them all, and so has, by the next sweep, one whose receipts are stored and being sent.
        """
        waiting = self._tasks.distinct("queue", {"status": PENDING})
        queues = [queue for queue in waiting if queue != HELD_QUEUE]
        sent = sum(self._send(publisher, self._unpublished(queue)) for queue in queues)
        depths = publisher.depths(queues)
        missing = {queue: self._count_missing(queue, depth) for queue, depth in depths.items()}
        before, self._missing = self._missing, missing
        for queue, count in missing.items():
            sent += self._send(publisher, self._lost(queue, min(count, before.get(queue, 0))))
        return sent

    def place(self, receipt: Receipt) -> Place:
        """How many of its line are to start before this one, counted up to a bound.

        The line is its queue, which workers serve in turn with others, or what is held of its
        namespace.
        """
        if receipt.status is not TaskStatusEnum.PENDING:
            return NO_PLACE
        line: Document = {"queue": receipt.queue}
        served = line
        if receipt.is_held:
            line = {STATE: Admission.HELD.value, "namespace_id": receipt.namespace_id}
            served = {"namespace_id": receipt.namespace_id, "parent_task_id": None}
        before = [
            {"created_at": {"$lt": receipt.created_at}},
            {"created_at": receipt.created_at, "_id": {"$lt": receipt.task_id}},
        ]
        ahead = self._count({**line, "status": PENDING, "$or": before})
        lately = server_time(self._tasks.database) - RECENT
        ended = self._count({**served, "ended_at": {"$gt": lately}})
        position = ahead + 1
        if ended == 0:
            return Place(position, None)
        per_minute = ended / (RECENT / timedelta(minutes=1))
        return Place(position, round(position / per_minute, 2))

    def _count(self, query: Document) -> int:
        return self._tasks.count_documents(query, limit=POSITIONS_COUNTED)

    def _unpublished(self, queue: str) -> list[Receipt]:
        return self._find(
            {"published_at": None, "$expr": {"$lte": ["$not_before", NOW]}}, queue, SENT_PER_SWEEP
        )

    def _count_missing(self, queue: str, depth: int) -> int:
        waiting = {"queue": queue, "status": PENDING, "published_at": {"$ne": None}}
        counted = self._tasks.count_documents(waiting, limit=depth + SENT_PER_SWEEP)
        return max(0, counted - depth)

    def _lost(self, queue: str, missing: int) -> list[Receipt]:
        if missing == 0:
            return []
        # What was published in the future was stamped by a process whose clock is ahead.
        is_due = [
            {"$lt": ["$published_at", earlier(self._lost_after)]},
            {"$gt": ["$published_at", NOW]},
        ]
        oldest: Document = {
            "$expr": {"$or": is_due},
            "published_at": {"$ne": None},
        }
        return self._find(oldest, queue, missing)

    def _find(self, query: Document, queue: str, limit: int) -> list[Receipt]:
        cursor = self._tasks.find(
            {"status": PENDING, "queue": queue, **query},
            BRIEF,
            sort=[("published_at", 1)],
            limit=limit,
        )
        return [Receipt.from_document(document) for document in cursor]

    def _send(self, publisher: Publisher, receipts: Sequence[Receipt]) -> int:
        """Marks first: a crash between the two makes a late message, never a flood."""
        self._mark([receipt.task_id for receipt in receipts], published_at=NOW)
        failed = publisher.publish_all(receipts)
        self.mark_unpublished(failed)
        return len(receipts) - len(failed)

    def _mark(self, task_ids: Sequence[str], *, published_at: str | None) -> None:
        if task_ids:
            self._tasks.update_many(
                {"_id": {"$in": list(task_ids)}, "status": PENDING},
                [{"$set": {"published_at": published_at}}],
            )
