"""Tasks as answers have them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from app.api.shape.page import Page, page_example
from app.api.shape.partial import Partial, partial_example
from app.http.answer import Answer, Done, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum

Count = Annotated[int, Field(ge=0)]

EXAMPLE: Json = {
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "task_type": "api_buckets_batches_process",
    "status": "PROCESSING",
    "inputs": ["btch_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
    "outputs": None,
    "additional_data": {
        "batch_id": "btch_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "request_id": "req_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "job_id": "0b3e9c4e-6f6f-4c6e-9d5f-3b0f6f1f7c11",
        "from_mongodb": False,
    },
    "error_message": None,
    "error": None,
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "parent_task_id": None,
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:07.000Z",
    "started_at": "2026-01-31T12:00:01.000Z",
    "ended_at": None,
    "attempt": 1,
    "max_attempts": 3,
    "returns": 0,
    "progress": {
        "done": 640,
        "total": 1000,
        "percent": 64.0,
        "rate": 91.43,
        "eta_seconds": 3.9,
        "errors": 0,
    },
    "cancellation": None,
    "suspension": None,
    "waiting_for": None,
    "queue_position": None,
    "estimated_wait_minutes": None,
}
FAILURE_EXAMPLE: Json = {
    "index": 1,
    "object_index": 1,
    "error": "'thumbnail' is no registered task type: registered are thumbnails",
    "error_type": "ValidationError",
    "details": {
        "validation_errors": [
            {
                "type": "value_error",
                "location": ["tasks", 1, "task_type"],
                "message": "'thumbnail' is no registered task type: registered are thumbnails",
            }
        ]
    },
}
# Each event of a stream, as tools read the schema of `text/event-stream`.
EVENT: Json = {
    "type": "object",
    "properties": {
        "event": {"enum": ["transition", "progress", "end"]},
        "id": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}


class Progress(Answer):
    """How far the task is; what is not known yet is null. `rate` is in units a second."""

    done: Count
    total: int | None
    percent: float | None
    rate: float | None
    eta_seconds: float | None
    errors: Count


class Cancellation(Answer):
    """Who asked for the end, when and why, and how it came about."""

    requested_at: Time
    deadline_at: Time
    actor: str
    reason: str | None
    outcome: str | None


class Suspension(Answer):
    """Who asked for the pause, when and why."""

    requested_at: Time
    actor: str
    reason: str | None


class AdditionalData(Answer):
    """What the task's owner stored with it, beside these keys."""

    model_config = ConfigDict(extra="allow")

    job_id: str | None
    from_mongodb: bool


class Task(Answer):
    """The receipt of a task. `waiting_for` says what keeps a PENDING one, and is null for others.

    `quota` is room among the tasks that its namespace may have running.
    """

    model_config = example(EXAMPLE)

    task_id: str
    task_type: str
    status: TaskStatusEnum
    inputs: list[object]
    outputs: object
    additional_data: AdditionalData
    error_message: str | None
    error: str | None
    namespace_id: str
    parent_task_id: str | None
    created_at: Time
    updated_at: Time
    started_at: Time | None
    ended_at: Time | None
    attempt: Count
    max_attempts: int
    returns: Count
    progress: Progress | None
    cancellation: Cancellation | None
    suspension: Suspension | None
    waiting_for: Literal["quota", "worker"] | None
    queue_position: int | None
    estimated_wait_minutes: float | None


class TaskPage(Page[Task]):
    """A page of tasks."""

    model_config = example(page_example(EXAMPLE))


class PartialTasks(Partial[Task]):
    """What was submitted, and what was not and why."""

    model_config = example(partial_example(EXAMPLE, FAILURE_EXAMPLE))


class TaskAnswer(Done):
    """What came of a request to change the task, and the task."""

    model_config = example(
        {
            "success": True,
            "message": "The task was asked to end; its status says when it has.",
            "task": EXAMPLE,
        }
    )

    task: Task


class Transition(Answer):
    """One change of status. `traceback` is there for keys that may do everything."""

    seq: Annotated[int, Field(ge=1)]
    from_: TaskStatusEnum | None = Field(alias="from")
    to: TaskStatusEnum
    at: Time
    actor: str
    attempt: Count
    worker: str | None
    reason: str | None
    traceback: str | None = None


class History(Answer):
    """Every transition of a task, in order."""

    model_config = example(
        {
            "results": [
                {
                    "seq": 1,
                    "from": None,
                    "to": "PENDING",
                    "at": "2026-01-31T12:00:00.000Z",
                    "actor": "key:ci",
                    "attempt": 0,
                    "worker": None,
                    "reason": None,
                }
            ]
        }
    )

    results: list[Transition]
