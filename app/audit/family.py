"""What holds between parents and children.

Every function takes readable receipts and returns what breaks its rule, or None.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.database import Document
from app.receipts.status import TERMINAL, TaskStatusEnum


@dataclass(frozen=True, slots=True)
class Children:
    """All children of one parent at one moment; the ordinals are 0 and -1 where there are none."""

    count: int
    open_: int
    units: int
    first_ordinal: int
    last_ordinal: int
    last_ended_at: datetime | None


NO_CHILDREN: Final = Children(0, 0, 0, 0, -1, None)


def orphan(child: Document, *, now: datetime, kept: timedelta) -> str | None:
    """A child whose parent is not there, and that is open, or too young for that.

    `kept` is how long receipts are there at least after their end.
    """
    is_open = child["status"] not in TERMINAL
    if is_open or child["created_at"] + kept > now:
        return f"its parent {child['parent_task_id']} is not there"
    return None


def outliving(child: Document, parent: Document, *, now: datetime, margin: timedelta) -> str | None:
    """An open child of a parent that ended longer than `margin` ago."""
    ended_at = parent["ended_at"]
    if child["status"] in TERMINAL or parent["status"] not in TERMINAL or ended_at is None:
        return None
    if now - ended_at <= margin:
        return None
    ago_s = (now - ended_at).total_seconds()
    return f"it is {child['status']}, and its parent {parent['_id']} ended {ago_s:.0f} s ago"


def early_conclusion(child: Document, parent: Document, *, clocks: timedelta) -> str | None:
    """A child that its parent's conclusion did not wait for; `clocks` is what clocks may differ."""
    if parent["status"] != TaskStatusEnum.COMPLETED or parent["fan_out"] is None:
        return None
    concluded_at = parent["ended_at"]
    if concluded_at is None or child["created_at"] > concluded_at:
        return None  # nobody's child: it was planned by a worker that was taken for lost
    if child["status"] not in TERMINAL:
        return f"it is {child['status']}, and its parent {parent['_id']} is COMPLETED"
    if child["ended_at"] is not None and child["ended_at"] > concluded_at + clocks:
        after_s = (child["ended_at"] - concluded_at).total_seconds()
        return f"it ended {after_s:.1f} s after its parent {parent['_id']} was completed"
    return None


def has_all_children(parent: Document, *, now: datetime, kept: timedelta) -> bool:
    """Whether a task fanned out, and is open or too young for its children to be forgotten first.

    `kept` is how long receipts are there at least after their end.
    """
    if parent["fan_out"] is None:
        return False
    return parent["status"] not in TERMINAL or bool(parent["created_at"] + kept > now)


def incomplete(parent: Document, children: Children) -> str | None:
    """Children that a parent which fanned out lacks, or has too many of."""
    numbered = (children.first_ordinal, children.last_ordinal)
    if numbered != (0, children.count - 1):
        return f"{children.count} children are numbered from {numbered[0]} to {numbered[1]}"
    units = parent["fan_out"]["units"]
    if units != children.units:
        return f"{children.count} children have {children.units} of its {units} units"
    return None
