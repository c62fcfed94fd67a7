"""Tasks: the receipt, what it holds, and how it changes.

Times are RFC 3339 text in UTC with milliseconds; `datetime.fromisoformat` reads them.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from waybill.types.json import JsonObject, Status
from waybill.types.page import Deleted


class Progress(TypedDict):
    """How far a task is; what is not known yet is null."""

    done: int
    total: int | None
    percent: float | None
    rate: float | None  # units a second
    eta_seconds: float | None
    errors: int


class Cancellation(TypedDict):
    """Who asked for the end of a task, when and why; `outcome` says how it came about."""

    requested_at: str
    deadline_at: str
    actor: str
    reason: str | None
    outcome: str | None


class Suspension(TypedDict):
    """Who asked for a pause, when and why."""

    requested_at: str
    actor: str
    reason: str | None


class Task(TypedDict):
    """The receipt of one run request."""

    task_id: str
    task_type: str
    status: Status
    inputs: list[Any]
    outputs: Any  # a list with what the job returned, null until then
    additional_data: JsonObject
    error_message: str | None
    error: str | None  # the same
    namespace_id: str
    parent_task_id: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    ended_at: str | None
    attempt: int
    max_attempts: int
    returns: int  # attempts that ended without a fault: suspended, or given back
    progress: Progress | None
    cancellation: Cancellation | None
    suspension: Suspension | None
    waiting_for: Literal["quota", "worker"] | None  # what keeps a PENDING one
    queue_position: int | None
    estimated_wait_minutes: float | None


class NewTask(TypedDict):
    """One run request of `submit_many`."""

    task_type: str
    inputs: NotRequired[list[Any]]
    additional_data: NotRequired[JsonObject]
    webhook_url: NotRequired[str | None]


class TaskAnswer(TypedDict):
    """What came of a kill, a pause or its end."""

    success: bool
    message: str
    task: Task


# `from` is a keyword, so this is not written as a class.
Transition = TypedDict(
    "Transition",
    {
        "seq": int,
        "from": Status | None,
        "to": Status,
        "at": str,
        "actor": str,
        "attempt": int,
        "worker": str | None,
        "reason": str | None,
        "traceback": NotRequired[str | None],  # for admins' keys
    },
)


class TaskTransition(Transition):
    """A step of the history of a task that it names."""

    task_id: str


class TransitionEvent(TypedDict):
    """A step of the history; `id` is where a later stream goes on."""

    event: Literal["transition"]
    id: str
    data: TaskTransition


class ProgressEvent(TypedDict):
    """The job reported."""

    event: Literal["progress"]
    id: None
    data: Progress


class EndEvent(TypedDict):
    """The task has ended; nothing follows."""

    event: Literal["end"]
    id: None
    data: Task


TaskEvent: TypeAlias = TransitionEvent | ProgressEvent | EndEvent


class Removed(Deleted):
    """It is out of sight; the task deletes what was in it."""

    task_id: str
    task: Task
