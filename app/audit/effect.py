"""What attempts wrote: by an attempt that was, before it ended, and once.

Every function takes a readable effect and returns what breaks its rule, or None.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.audit.history import PROCESSING
from app.audit.shape import Shape
from app.database import Document
from app.resources.extraction import DOCUMENTS, FAILURES


@dataclass(frozen=True, slots=True)
class EffectKind:
    """A collection of what attempts write: one row for each value of `key` together."""

    collection: str
    key: tuple[str, ...]
    written_at: str
    order: tuple[tuple[str, int], ...]  # brings rows of one key together, along an index if any
    apart: tuple[str, ...] = ()  # what some rows have that tells them from others of their key

    @property
    def shape(self) -> Shape:
        key = dict.fromkeys(self.key, (str, type(None)))
        return {**key, "task_id": str, "attempt": int, self.written_at: datetime}

    def is_double(self, one: Document, other: Document) -> bool:
        """Whether two rows stand under one key; a row that is read twice is one."""
        same = all(one[name] == other[name] for name in self.key)
        same = same and all(one.get(name) == other.get(name) for name in self.apart)
        return same and one["_id"] != other["_id"]


KINDS: Final = (
    EffectKind(
        DOCUMENTS,
        ("collection_id", "object_id"),
        "updated_at",
        (("collection_id", 1), ("object_id", -1), ("_id", -1)),
        apart=("origin",),  # copies that taxonomies made in a target collection
    ),
    EffectKind(
        FAILURES,
        ("batch_id", "object_id", "collection_id"),
        "failed_at",
        (("batch_id", 1), ("object_id", 1), ("collection_id", 1), ("_id", 1)),
    ),
)


def stale(
    effect: Document, kind: EffectKind, receipt: Document, *, clocks: timedelta
) -> str | None:
    """An effect of an attempt that never was, or that had ended.

    The worker's clock set the time of the effect, MongoDB's that of the end: `clocks` is what the
    two may differ.
    """
    number, task_id = effect["attempt"], receipt["_id"]
    if not 1 <= number <= receipt["attempt"]:
        return f"attempt {number} wrote it, and {task_id} has had {receipt['attempt']}"
    ended_at = attempt_end(receipt, number)
    if ended_at is None or effect[kind.written_at] <= ended_at + clocks:
        return None
    late_s = (effect[kind.written_at] - ended_at).total_seconds()
    return f"it was written {late_s:.1f} s after the end of attempt {number} of {task_id}"


def attempt_end(receipt: Document, number: int) -> datetime | None:
    """When an attempt ended, or None: it runs, or it never was."""
    history = receipt["history"]
    for index, entry in enumerate(history[:-1]):
        if entry["to"] == PROCESSING and entry["attempt"] == number:
            ended_at: datetime = history[index + 1]["at"]
            return ended_at
    return None


def unreceipted(
    effect: Document, kind: EffectKind, *, now: datetime, kept: timedelta
) -> str | None:
    """A young effect whose task has no receipt; `kept` is how long those are there at least."""
    is_young = effect[kind.written_at] + kept > now
    return f"there is no {effect['task_id']}" if is_young else None
