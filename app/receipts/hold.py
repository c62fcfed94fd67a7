"""What a receipt says of its namespace's quota: whether the task was let in, or is held.

Only tasks that a quota counts have such a mark: whole ones, of a namespace that had a quota when
they came or has got one since. A held task is PENDING in no broker's queue. It is let in by the
strict step of `admission`, and whatever gives it back to PENDING holds it again, so that never
more are let in than the quota has room for.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.database import Document
from app.receipts.transition import NOW, literal

# Stands where a receipt names its queue, so that nothing looks for its message there.
HELD_QUEUE: Final = "waybill.held"

STATE: Final = "admission.state"


class Admission(StrEnum):
    """Where a counted task stands; one that has ended keeps its last word."""

    HELD = "held"
    ADMITTED = "admitted"


_IS_COUNTED: Final[Document] = {"$ne": [{"$type": "$admission"}, "missing"]}
_HELD_AGAIN: Final[Document] = {
    "state": Admission.HELD.value,
    "queue": "$admission.queue",
    "at": NOW,
}

# With what leaves a task PENDING, or will once it is resumed: one that is counted waits for room.
BACK_TO_THE_DOOR: Final[Document] = {
    "admission": {"$cond": [_IS_COUNTED, _HELD_AGAIN, "$$REMOVE"]},
    "queue": {"$cond": [_IS_COUNTED, HELD_QUEUE, "$queue"]},
}
# The message of a resumed task is about to be sent, unless it waits for room.
ABOUT_TO_BE_SENT: Final[Document] = {"$cond": [_IS_COUNTED, None, NOW]}

# The update of tasks that waited or paused before they were counted.
HELD_FROM_NOW_ON: Final[Document] = {
    "admission": {"state": Admission.HELD.value, "queue": "$queue", "at": NOW},
    "queue": HELD_QUEUE,
    "published_at": None,
}
# The same of those that were let in, and have not begun.
HELD_BACK: Final[Document] = {
    "admission": _HELD_AGAIN,
    "queue": HELD_QUEUE,
    "published_at": None,
}
# The update of tasks that ran before they were counted: nobody let them in.
ADMITTED_UNASKED: Final[Document] = {
    "admission": {"state": Admission.ADMITTED.value, "queue": "$queue", "at": None},
}


def held(document: Document, *, at: datetime) -> Document:
    """A new receipt of a counted task."""
    mark = {"state": Admission.HELD.value, "queue": document["queue"], "at": at}
    return {**document, "admission": mark, "queue": HELD_QUEUE, "published_at": None}


def admitted(lane: str, *, lanes: Sequence[str]) -> Document:
    """The update that lets held tasks in; those that were meant for one of `lanes` wait in `lane`.

    Their messages are about to be sent.
    """
    is_for_lanes = {"$in": ["$admission.queue", list(lanes)]}
    return {
        "admission": {
            "state": Admission.ADMITTED.value,
            "queue": "$admission.queue",
            "at": NOW,
        },
        "queue": {"$cond": [is_for_lanes, literal(lane), "$admission.queue"]},
        "published_at": NOW,
    }
