"""How the tasks of resources ended, kept with the resources for the time after the receipts.

A row that owns a task has `task_id`, `status` and `outcome`. Until it is settled, `outcome` is
None and its status is its task's; the sweep copies both once the task has ended.
"""

from pymongo.collection import Collection

from app.database import Document
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore


def settle(rows: Collection[Document], receipts: ReceiptStore) -> int:
    """Copies the ends of tasks to the rows that own them, counted. Safe to repeat and to race."""
    settled = 0
    for row in rows.find({"outcome": None, "task_id": {"$ne": None}}, {"task_id": 1}):
        receipt = receipts.find(row["task_id"])
        if receipt is None or receipt.is_terminal:
            guard = {"_id": row["_id"], "task_id": row["task_id"], "outcome": None}
            settled += rows.update_one(guard, {"$set": _end(receipt)}).modified_count
    return settled


def having(
    status: TaskStatusEnum, rows: Collection[Document], scope: Document, receipts: ReceiptStore
) -> Document:
    """The condition on rows of `scope` whose status is this now: its task's, or the settled one."""
    unsettled = {**scope, "outcome": None, "task_id": {"$ne": None}}
    task_ids = [row["task_id"] for row in rows.find(unsettled, {"task_id": 1})]
    theirs = [each.task_id for each in receipts.find_many(task_ids) if each.status is status]
    settled = {"outcome": {"$ne": None}, "status": status.value}
    return {"$or": [settled, {"task_id": {"$in": theirs}}]}


def status_of(status: TaskStatusEnum, receipt: Receipt | None) -> TaskStatusEnum:
    """A row's status now: that of its task, while there is a receipt."""
    return receipt.status if receipt else status


def _end(receipt: Receipt | None) -> Document:
    """What a row keeps of its task's end; nobody can tell that of a receipt that is gone."""
    if receipt is None:
        return {"status": TaskStatusEnum.UNKNOWN.value, "outcome": {}}
    return {
        "status": receipt.status.value,
        "outcome": {
            "outputs": receipt.outputs,
            "error_message": receipt.error_message,
            "started_at": receipt.started_at,
            "ended_at": receipt.ended_at,
        },
    }
