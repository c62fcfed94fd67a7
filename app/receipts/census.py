"""How many receipts there are, for operators: cheap at any size of the collection."""

from typing import Final

from app.database import Document
from app.receipts.index import BY_STATUS
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore

# DRAFT, ACTIVE and ARCHIVED are statuses of resources.
OPEN: Final = [
    status.value
    for status in (
        TaskStatusEnum.PENDING,
        TaskStatusEnum.PROCESSING,
        TaskStatusEnum.IN_PROGRESS,
        TaskStatusEnum.SUSPENDED,
        TaskStatusEnum.UNKNOWN,
    )
]
ANSWER_MS: Final = 4_000


class Census:
    """Counts receipts. Those that have ended stay out of it: there may be millions."""

    def __init__(self, receipts: ReceiptStore) -> None:
        self._tasks = receipts.tasks

    def open_tasks(self) -> dict[tuple[TaskStatusEnum, str], int]:
        """The tasks that have not ended, by status and type; reads one index and no receipt."""
        by: Document = {"status": "$status", "task_type": "$task_type"}
        rows = self._tasks.aggregate(
            [
                {"$match": {"status": {"$in": OPEN}}},
                {"$group": {"_id": by, "count": {"$sum": 1}}},
            ],
            hint=BY_STATUS,
            maxTimeMS=ANSWER_MS,
        )
        return {
            (TaskStatusEnum(row["_id"]["status"]), row["_id"]["task_type"]): row["count"]
            for row in rows
        }

    def stored(self) -> int:
        """All receipts, by the collection's own count."""
        return self._tasks.estimated_document_count(maxTimeMS=ANSWER_MS)
