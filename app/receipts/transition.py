"""Builds the one update that moves a receipt: status, version and history entry together.

Updates are aggregation pipelines, so that times are `$$NOW`, the clock of MongoDB and of
nobody else, and so that an entry's `from` and `seq` are what the document really held.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.database import Document
from app.receipts.status import TERMINAL, TaskStatusEnum, check_transition

NOW: Final = "$$NOW"

# When a write happens: `$$NOW` is the start of its command, which may have waited for that of
# another, begun later; neither `updated_at` nor a history ever steps back.
MOMENT: Final = {"$max": [NOW, "$updated_at"]}

# Transitions that others are told of. A task's own row is its outbox: the history says what
# happened, and `untold_since` since when something of it waits. Children are their parent's affair.
TOLD: Final = frozenset({TaskStatusEnum.PROCESSING, *TERMINAL})
WAITS_TO_BE_TOLD: Final[Document] = {
    "untold_since": {
        "$cond": [
            {"$eq": ["$parent_task_id", None]},
            {"$ifNull": ["$untold_since", MOMENT]},
            "$$REMOVE",
        ]
    }
}

# One more attempt that ended without a fault.
ONE_RETURN_MORE: Final[Document] = {"$add": [{"$ifNull": ["$returns", 0]}, 1]}

_NEXT_VERSION: Final = {"$add": ["$version", 1]}


@dataclass(frozen=True, slots=True)
class Move:
    """One transition: the statuses it may start from, where it ends, and who makes it and why."""

    from_: Collection[TaskStatusEnum]
    to: TaskStatusEnum
    actor: str
    reason: str | None = None
    worker: str | None = None
    traceback: str | None = None

    def __post_init__(self) -> None:
        for status in self.from_:
            check_transition(status, self.to)

    @property
    def guard(self) -> Document:
        """The part of the update's filter that names the legal from-states."""
        return {"status": {"$in": [status.value for status in self.from_]}}


def literal(value: object) -> object:
    """A value that MongoDB stores as it is, even where it looks like an expression.

    What cannot look like one stands for itself: MongoDB has less to parse, with each write.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and not value.startswith("$"):
        return value
    return {"$literal": value}


def later(delay: timedelta) -> Document:
    """MongoDB's clock plus `delay`."""
    amount_ms = int(delay.total_seconds() * 1000)
    return {"$dateAdd": {"startDate": NOW, "unit": "millisecond", "amount": amount_ms}}


def earlier(delay: timedelta) -> Document:
    """MongoDB's clock minus `delay`."""
    return {"$subtract": [NOW, int(delay.total_seconds() * 1000)]}


def touch(sets: Mapping[str, object]) -> list[Document]:
    """The update that changes fields but not the status: version and `updated_at` move on."""
    return [{"$set": {**sets, "version": _NEXT_VERSION, "updated_at": MOMENT}}]


def transition(
    move: Move, sets: Mapping[str, object], *, attempt: object = "$attempt", retention: timedelta
) -> list[Document]:
    """The update that carries out `move` with further fields, as an aggregation pipeline.

    `attempt` is the expression for the attempt that the history entry names. A terminal status
    sets `ended_at`, drops the lease and starts the retention.
    """
    entry = {
        "seq": {"$add": [{"$size": "$history"}, 1]},
        "from": "$status",
        "to": move.to.value,
        "at": MOMENT,
        "actor": literal(move.actor),
        "attempt": attempt,
        "worker": literal(move.worker),
        "reason": literal(move.reason),
        "traceback": literal(move.traceback),
    }
    ending: Document = {}
    if move.to in TERMINAL:
        ending = {
            "ended_at": MOMENT,
            "lease": None,
            "suspension": None,
            "expire_at": later(retention),
        }
    if move.to in TOLD:
        ending |= WAITS_TO_BE_TOLD
    return touch(
        {
            **ending,
            **sets,
            "status": move.to.value,
            "history": {"$concatArrays": ["$history", [entry]]},
        }
    )
