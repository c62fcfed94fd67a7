"""A receipt as it is first stored, and what one may hold."""

from datetime import UTC, datetime
from typing import Final

import bson

from app import tracing
from app.database import Document
from app.errors import PermanentError
from app.json_value import json_flaw
from app.receipts.receipt import NewTask
from app.receipts.status import INITIAL, TaskStatusEnum

# MongoDB holds documents of 16 MiB: inputs with additional data, the checkpoint and the outputs
# have a share each, and the history has the rest.
MAX_VALUE_BYTES: Final = 4 * 1024 * 1024


def this_moment() -> datetime:
    """Now, in the milliseconds that MongoDB keeps; what a caller gets is what is stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def storable_flaw(value: object) -> str | None:
    """What keeps a value out of a receipt, continuing "The job's outputs …", or None."""
    if value is None:
        return None
    if (flaw := json_flaw(value)) is not None:
        return flaw
    size_bytes = len(bson.encode({"value": value}))
    if size_bytes > MAX_VALUE_BYTES:
        return f"takes {size_bytes} bytes, more than the {MAX_VALUE_BYTES} that a receipt holds"
    return None


def require_storable(what: str, value: object) -> None:
    """Raises `PermanentError` for a value that a receipt cannot hold."""
    if (flaw := storable_flaw(value)) is not None:
        raise PermanentError(f"{what} {flaw}")


def new_document(task_id: str, task: NewTask, *, at: datetime) -> Document:
    """A receipt as it is first stored; `published_at` is hoped for, and undone if it fails.

    It belongs to the trace of what stores it, if that has one.
    """
    status = TaskStatusEnum.PENDING
    assert status in INITIAL
    first = {
        "seq": 1,
        "from": None,
        "to": status.value,
        "at": at,
        "actor": task.actor,
        "attempt": 0,
        "worker": None,
        "reason": None,
        "traceback": None,
    }
    return {
        "_id": task_id,
        "namespace_id": task.namespace_id,
        "task_type": task.task_type,
        "queue": task.queue,
        "status": status.value,
        "inputs": list(task.inputs),
        "outputs": None,
        "additional_data": dict(task.additional_data),
        "error_message": None,
        "created_at": at,
        "updated_at": at,
        "started_at": None,
        "ended_at": None,
        "attempt": 0,
        "max_attempts": task.max_attempts,
        "returns": 0,
        "version": 1,
        "progress": None,
        "cancellation": None,
        "suspension": None,
        "checkpoint": None,
        "parent_task_id": None,
        "fan_out": None,
        "lease": None,
        "last_token": None,
        "last_commit": None,
        "job_id": None,
        "published_at": at,
        "not_before": None,
        "told": 0,  # how many entries of the history others were told of
        "untold_since": at,
        "history": [first],
        **({} if task.callback_url is None else {"callback_url": task.callback_url}),
        **_traced(),
    }


def _traced() -> Document:
    traceparent = tracing.current()
    return {} if traceparent is None else {"trace": traceparent}
