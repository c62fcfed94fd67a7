"""How a job's code is left other than by returning: an exception each."""

from app.errors import WaybillError
from app.receipts.status import TaskStatusEnum


class AbortedError(WaybillError):
    """The task is to end: raised in a job to leave it, and recorded as CANCELED."""


class PausedError(WaybillError):
    """The task is to go on later, from its checkpoint: raised at a report that carries one."""

    def __init__(self, status: TaskStatusEnum, reason: str) -> None:
        """`status` is where the receipt goes: SUSPENDED, or PENDING for another worker."""
        super().__init__(reason)
        self.status = status


class SkippedError(WaybillError):
    """There was nothing to do: recorded as SKIPPED, with the message as the reason."""


class LeaseLostError(WaybillError):
    """Another attempt may have this task by now: nothing that this one writes counts any more."""
