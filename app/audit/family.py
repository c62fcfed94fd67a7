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


def orphan(
    child: Document, parent: Document | None, *, now: datetime, kept: timedelta
) -> str | None:
    """A child whose parent is not there, although it is too young to be forgotten.

    `kept` is how long receipts are there at least after their end.
    """
    is_open = child["status"] not in TERMINAL
    if parent is None and (is_open or child["created_at"] + kept > now):
        return f"its parent {child['parent_task_id']} is not there"
    return None


def outliving(
    child: Document, parent: Document | None, *, now: datetime, margin: timedelta
) -> str | None:
    """An open child of a parent that ended longer than `margin` ago."""
    if parent is None or child["status"] in TERMINAL or parent["status"] not in TERMINAL:
        return None
    ended_at = parent["ended_at"]
    if ended_at is None or now - ended_at <= margin:
        return None
    ago_s = (now - ended_at).total_seconds()
    return f"it is {child['status']}, and its parent {parent['_id']} ended {ago_s:.0f} s ago"


def early_conclusion(child: Document, parent: Document | None, *, clocks: timedelta) -> str | None:
    """A child that its parent's conclusion did not wait for; `clocks` is what clocks may differ."""
    if parent is None or parent["status"] != TaskStatusEnum.COMPLETED or not parent["fan_out"]:
        return None
    concluded_at = parent["ended_at"]
    if concluded_at is None or child["created_at"] > concluded_at:
        return None
    if child["status"] not in TERMINAL:
        return f"its child {child['_id']} is {child['status']}"
    if child["ended_at"] is not None and child["ended_at"] > concluded_at + clocks:
        after_s = (child["ended_at"] - concluded_at).total_seconds()
        return f"its child {child['_id']} ended {after_s:.1f} s after it"
    return None


def incomplete(
    parent: Document, children: Children, *, now: datetime, kept: timedelta
) -> str | None:
    """Children that a parent which fanned out lacks, or has too many of.

    An old parent that has ended is not judged: its children may be forgotten before it.
    """
    if parent["fan_out"] is None:
        return None
    if parent["status"] in TERMINAL and parent["created_at"] + kept <= now:
        return None
    numbered = (children.first_ordinal, children.last_ordinal)
    if numbered != (0, children.count - 1):
        return f"{children.count} children are numbered from {numbered[0]} to {numbered[1]}"
    units = parent["fan_out"]["units"]
    if units != children.units:
        return f"{children.count} children have {children.units} of its {units} units"
    return None
