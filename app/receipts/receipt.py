"""The receipt as a value: what MongoDB holds of a task, and the JSON that users read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from app.broker import JOBS_QUEUE
from app.database import Document
from app.receipts.hold import Admission
from app.receipts.progress import Progress
from app.receipts.status import TERMINAL, TaskStatusEnum

JsonObject = dict[str, object]


def rfc3339(moment: datetime | None) -> str | None:
    """UTC with milliseconds and `Z`, the form of every time in an answer."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class NewTask:
    """A run request that has no receipt yet."""

    task_type: str
    namespace_id: str
    inputs: Sequence[object]
    actor: str
    additional_data: Mapping[str, object]
    max_attempts: int
    queue: str = JOBS_QUEUE
    place: str = ""  # where it stands in its request, if that makes several
    callback_url: str | None = None  # is told of the task's end


@dataclass(frozen=True, slots=True)
class Piece:
    """One child of a task that fans out: `units` of its parent's total, at a place of its own."""

    ordinal: int
    inputs: Sequence[object]
    units: int


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who asked for the end of a task, when and why, and how it came about (null until then).

    A job that has not ended by itself at `deadline_at` is ended by force.
    """

    requested_at: datetime
    deadline_at: datetime
    actor: str
    reason: str | None
    outcome: str | None

    def to_json(self) -> JsonObject:
        return {
            "requested_at": rfc3339(self.requested_at),
            "deadline_at": rfc3339(self.deadline_at),
            "actor": self.actor,
            "reason": self.reason,
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True)
class Suspension:
    """Who asked for a pause, when and why; stands until the task is resumed."""

    requested_at: datetime
    actor: str
    reason: str | None

    def to_json(self) -> JsonObject:
        return {
            "requested_at": rfc3339(self.requested_at),
            "actor": self.actor,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """A waiting task's place: 1 is next; the wait is null while nothing has ended lately."""

    position: int | None
    wait_minutes: float | None


NO_PLACE: Final = Place(None, None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One task as it stood at `version`; a higher version is always the newer one."""

    task_id: str
    namespace_id: str
    task_type: str
    queue: str
    status: TaskStatusEnum
    inputs: list[object]
    outputs: object
    additional_data: JsonObject
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempt: int
    max_attempts: int
    returns: int  # attempts that ended without a fault: suspended, or given back at a shutdown
    version: int
    progress: Progress | None
    cancellation: Cancellation | None
    suspension: Suspension | None
    checkpoint: object
    parent_task_id: str | None
    fanned_out: bool
    conclusions: int  # how often a fanned-out task's conclusion was begun
    lease_token: str | None
    job_id: str | None  # the Celery id of the current attempt, null before the first
    trace: str | None  # the traceparent of the span that stored it
    admission: Admission | None  # null where no quota counts the task
    units: int | None = None  # of a child: its part of its parent's total

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The stored document, with or without its history."""
        progress = document["progress"]
        cancellation = document["cancellation"]
        suspension = document.get("suspension")
        lease = document["lease"]
        return cls(
            task_id=document["_id"],
            namespace_id=document["namespace_id"],
            task_type=document["task_type"],
            queue=document["queue"],
            status=TaskStatusEnum(document["status"]),
            inputs=document["inputs"],
            outputs=document["outputs"],
            additional_data=document["additional_data"],
            error_message=document["error_message"],
            created_at=document["created_at"],
            updated_at=document["updated_at"],
            started_at=document["started_at"],
            ended_at=document["ended_at"],
            attempt=document["attempt"],
            max_attempts=document["max_attempts"],
            returns=document.get("returns", 0),
            version=document["version"],
            progress=Progress(**progress) if progress else None,
            cancellation=Cancellation(**cancellation) if cancellation else None,
            suspension=Suspension(**suspension) if suspension else None,
            checkpoint=document.get("checkpoint"),
            parent_task_id=document["parent_task_id"],
            fanned_out=document["fan_out"] is not None,
            conclusions=(document["fan_out"] or {}).get("conclusions", 0),
            lease_token=lease["token"] if lease else None,
            job_id=document["job_id"],
            trace=document.get("trace"),
            admission=_admission(document.get("admission")),
            units=document.get("units"),
        )

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_held(self) -> bool:
        """Whether it waits for room in its namespace's quota, or will once it is resumed."""
        return self.admission is Admission.HELD

    @property
    def waiting_for(self) -> str | None:
        """What a PENDING task waits for: room in its namespace's quota, or a worker."""
        if self.status is not TaskStatusEnum.PENDING:
            return None
        return "quota" if self.is_held else "worker"

    @property
    def has_another_attempt(self) -> bool:
        """Whether a fault leaves one more attempt to make, or, of a parent, one more conclusion."""
        made = self.conclusions if self.fanned_out else self.attempt - self.returns
        return made < self.max_attempts

    @property
    def additional_data_json(self) -> JsonObject:
        """What the task's owner stored with it, the Celery id of the current attempt, and where
        the answer comes from."""
        return {**self.additional_data, "job_id": self.job_id, "from_mongodb": True}

    def to_json(self, place: Place = NO_PLACE) -> JsonObject:
        """The task as users read it, with its place in the queue where that was counted."""
        return {
            "task_id": self.task_id,
            "task_type": self.task_type,
            "status": self.status.value,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "additional_data": self.additional_data_json,
            "error_message": self.error_message,
            "error": self.error_message,
            "namespace_id": self.namespace_id,
            "parent_task_id": self.parent_task_id,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "started_at": rfc3339(self.started_at),
            "ended_at": rfc3339(self.ended_at),
            "attempt": self.attempt,
            "max_attempts": self.max_attempts,
            "returns": self.returns,
            "progress": _progress_json(self.progress),
            "cancellation": self.cancellation.to_json() if self.cancellation else None,
            "suspension": self.suspension.to_json() if self.suspension else None,
            "waiting_for": self.waiting_for,
            "queue_position": place.position,
            "estimated_wait_minutes": place.wait_minutes,
        }


def _admission(stored: Document | None) -> Admission | None:
    return None if stored is None else Admission(stored["state"])


def _progress_json(progress: Progress | None) -> JsonObject | None:
    if progress is None:
        return None
    return {
        "done": progress.done,
        "total": progress.total,
        "percent": progress.percent,
        "rate": None if progress.rate is None else round(progress.rate, 2),
        "eta_seconds": progress.eta_seconds,
        "errors": progress.errors,
    }
