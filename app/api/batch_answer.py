"""A batch as users read it: its own fields, and what its task's receipt says of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from app.database import Document
from app.receipts.progress import Progress
from app.receipts.receipt import JsonObject, Receipt, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.batch import Batch

# A running batch reports every second or so; silence for this long means that nobody works on it.
STALLED_AFTER: Final = timedelta(minutes=2)

# The signs of each category in the sentences that receipts have of it.
INFRASTRUCTURE: Final = ("was lost", "ConnectionError", "A database did not")
TIMEOUT: Final = ("TimeoutError", "TimeLimitExceeded")
VALIDATION: Final = "schema_violation"

# An attempt that ends with its worker's shutdown costs none, however many there are.
UNBOUNDED: Final = 2**31 - 1

WAITING: Final = {
    "quota": "room among the tasks that its namespace may have running",
    "worker": "a worker",
}

# The public client's words; a status that is not here has none.
LIFECYCLES: Final[Mapping[TaskStatusEnum, str]] = {
    TaskStatusEnum.DRAFT: "accepted",
    TaskStatusEnum.PENDING: "queued",
    TaskStatusEnum.PROCESSING: "extracting",
    TaskStatusEnum.COMPLETED: "indexed",
    TaskStatusEnum.FAILED: "failed",
    TaskStatusEnum.CANCELED: "canceled",
}


def batch_json(
    batch: Batch,
    receipt: Receipt | None,
    *,
    failures: Sequence[Document],
    failed_count: int,
    max_attempts: int,
) -> JsonObject:
    """The batch with its task's status; `receipt` None where there is none, or none any more.

    `max_attempts` is what a task would be given now.
    """
    status = receipt.status if receipt else batch.status
    error_message = _error_message(batch, receipt)
    return {
        "batch_id": batch.batch_id,
        "namespace_id": batch.namespace_id,
        "bucket_id": batch.bucket_id,
        "batch_name": batch.batch_name,
        "metadata": batch.metadata,
        "collection_ids": batch.collection_ids,
        "object_count": batch.object_count,
        "status": status.value,
        "task_id": batch.task_id,
        "earlier_task_ids": batch.earlier_task_ids,
        "progress": _progress_json(receipt.progress if receipt else None, batch.object_count),
        "health": _health(receipt),
        "last_activity_at": rfc3339(receipt.updated_at if receipt else batch.updated_at),
        "outputs": receipt.outputs if receipt else (batch.outcome or {}).get("outputs"),
        "error_message": error_message,
        "error": error_message,
        "failure_reason": error_message,
        "failure_category": _category(status, error_message, failures),
        "failed_objects": [_failed_object(failure) for failure in failures],
        "failed_object_count": failed_count,
        "lifecycle": LIFECYCLES.get(status),
        "lifecycle_reason": _lifecycle_reason(receipt, error_message),
        "max_node_death_resubmits": (receipt.max_attempts if receipt else max_attempts) - 1,
        "max_deploy_resubmits": UNBOUNDED,
        "created_at": rfc3339(batch.created_at),
        "updated_at": rfc3339(receipt.updated_at if receipt else batch.updated_at),
        "submitted_at": rfc3339(batch.submitted_at),
    }


def _error_message(batch: Batch, receipt: Receipt | None) -> str | None:
    if receipt is not None:
        return receipt.error_message
    stored = (batch.outcome or {}).get("error_message")
    return None if stored is None else str(stored)


def _lifecycle_reason(receipt: Receipt | None, error_message: str | None) -> str | None:
    """Why the batch is where it is: what it waits for, who canceled it, or what went wrong."""
    if receipt is not None and receipt.waiting_for is not None:
        return f"It waits for {WAITING[receipt.waiting_for]}"
    if receipt is not None and receipt.status is TaskStatusEnum.CANCELED and receipt.cancellation:
        return receipt.cancellation.reason or error_message
    return error_message


def _progress_json(progress: Progress | None, objects: int) -> JsonObject:
    """In the words of the contract; a batch that has not begun has done nothing of all."""
    if progress is None:
        percent = 0.0 if objects else None
        rate = eta_seconds = None
        done, errors, total = 0, 0, objects
    else:
        percent, rate, eta_seconds = progress.percent, progress.rate, progress.eta_seconds
        done, errors, total = progress.done, progress.errors, progress.total or objects
    return {
        "processed": done,
        "total": total,
        "percent": percent,
        "items_per_second": None if rate is None else round(rate, 2),
        "eta_seconds": eta_seconds,
        "errors": errors,
    }


def _health(receipt: Receipt | None) -> str:
    """`healthy`, `stalled` or `unknown`; said of a batch that is at work."""
    if receipt is None or receipt.status is not TaskStatusEnum.PROCESSING:
        return "unknown"
    silent = datetime.now(UTC) - receipt.updated_at
    return "stalled" if silent > STALLED_AFTER else "healthy"


def _category(
    status: TaskStatusEnum, message: str | None, failures: Sequence[Document]
) -> str | None:
    """timeout, infrastructure, validation, pipeline or unknown; null unless the batch failed."""
    if status is not TaskStatusEnum.FAILED:
        return None
    if message is None:
        return "unknown"
    if any(sign in message for sign in TIMEOUT):
        return "timeout"
    if any(sign in message for sign in INFRASTRUCTURE):
        return "infrastructure"
    if failures and all(failure["error_type"] == VALIDATION for failure in failures):
        return "validation"
    return "pipeline"


def _failed_object(failure: Document) -> JsonObject:
    """One record; what a job lists is never worth another try with the same input."""
    return {
        "object_id": failure["object_id"],
        "error": failure["reason"],
        "error_type": "permanent",
        "timestamp": rfc3339(failure["failed_at"]),
    }
