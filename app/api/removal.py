"""The answer to the deletion of something that holds much."""

from app.http.body import JsonObject
from app.receipts.receipt import Receipt


def removed(subject: str, receipt: Receipt) -> JsonObject:
    """The answer with the task that deletes what `subject` held."""
    return {
        "success": True,
        "message": f"{subject} is deleted; task {receipt.task_id} deletes what was in it",
        "task_id": receipt.task_id,
        "task": receipt.to_json(),
    }
