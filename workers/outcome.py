"""How an attempt went, as the row of its run says it; pure.

A run is a success or a failure. What else there is to say stands in the note: an attempt whose
task had nothing to do, or is to go on later, did what it was to do.
"""

from dataclasses import dataclass
from typing import Final

from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending

CANCELED: Final = "canceled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`output_rows` are the units that the attempt did without an error; None: it told of none."""

    success: bool
    note: str | None = None
    output_rows: int | None = None


def of_ending(ending: Ending, output_rows: int | None) -> Outcome:
    """Of an attempt that ended its task."""
    match ending.status:
        case TaskStatusEnum.COMPLETED:
            return Outcome(True, None, output_rows)
        case TaskStatusEnum.SKIPPED:
            return Outcome(True, f"skipped: {_reason(ending.outputs)}", output_rows)
        case TaskStatusEnum.CANCELED:
            return Outcome(False, CANCELED, output_rows)
        case _:
            return Outcome(False, ending.error_message, output_rows)


def of_plan(tasks: int) -> Outcome:
    """Of an attempt that split its task: the rows are its children's, not its own."""
    return Outcome(True, f"split into {tasks} tasks")


def of_pause(reason: str, output_rows: int | None) -> Outcome:
    """Of an attempt that was left at a checkpoint."""
    return Outcome(True, f"paused: {reason}", output_rows)


def _reason(outputs: object) -> str:
    match outputs:
        case [{"reason": str(reason)}]:
            return reason
        case _:
            return "there was nothing to do"
