"""Receipts as their own outbox: what happened to tasks that others were not told of yet.

Each transition that others are told of marks its receipt, in the same write (`untold_since`). The
history holds what happened, and `told` how much of it is done with; both only grow, so telling
twice, late or by several at once is harmless as long as whoever hears knows an event by its id.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from pymongo import ASCENDING, timeout
from pymongo.errors import PyMongoError

from app.database import Document
from app.receipts.receipt import JsonObject
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore

log = structlog.get_logger(__name__)

# What of a receipt's own data goes along with an event; more is left to a read of the task.
MAX_DATA_BYTES: Final = 32 * 1024
MAX_ERROR_CHARACTERS: Final = 2_000
# A receipt is locked while its job commits a step, or for longer where the job died in that: what
# others are told does not wait for it.
NOTE_S: Final = 1.0
NOTED_AT_ONCE: Final = 1_000  # well within that time


def _small(field: str, instead: object) -> Document:
    is_small = {"$lte": [{"$bsonSize": {"value": field}}, MAX_DATA_BYTES]}
    return {"$cond": [is_small, field, {"$literal": instead}]}


_NEWS: Final[Document] = {
    "$map": {
        "input": {"$filter": {"input": "$history", "cond": {"$gt": ["$$this.seq", "$told"]}}},
        "in": {name: f"$$this.{name}" for name in ("seq", "from", "to", "at", "attempt")},
    }
}


def _projection(about: Collection[str]) -> Document:
    is_about = {"$in": ["$task_type", {"$literal": list(about)}]}
    return {
        "namespace_id": 1,
        "task_type": 1,
        "callback_url": 1,
        "additional_data": _small("$additional_data", {}),
        "about": {"$cond": [is_about, "$additional_data", {"$literal": {}}]},
        "outputs": _small("$outputs", None),
        "error_message": 1,
        "done": "$progress.done",
        "news": _NEWS,
    }


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition: `seq` is its place in the history, `from_` None where the task began."""

    seq: int
    from_: TaskStatusEnum | None
    to: TaskStatusEnum
    at: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class Untold:
    """A task and the transitions that others were not told of, in order, perhaps none.

    `additional_data` is empty, and `outputs` null, where they are large; `about` is all of the
    first, of tasks of the types that were asked for; `done` is its progress.
    """

    task_id: str
    namespace_id: str
    task_type: str
    callback_url: str | None
    additional_data: JsonObject
    about: JsonObject
    outputs: object
    error_message: str | None
    done: int
    news: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """A task that perhaps nobody asked for; `last` is how many entries its history had."""

    task_id: str
    last: int


class ReceiptOutbox:
    """Reads and marks what is untold; every moment is of MongoDB's clock."""

    def __init__(self, receipts: ReceiptStore) -> None:
        self._tasks = receipts.tasks

    def untold(
        self, *, limit: int, about: Collection[str] = (), only: Collection[str] | None = None
    ) -> list[Untold]:
        """Tasks with something untold, the oldest first; those of the types in `about` with all
        that they are about.

        With `only`, tasks of those types and tasks that name a callback, and no others.
        """
        among: Document = {"untold_since": {"$exists": True}}
        if only is not None:
            among["$or"] = [{"task_type": {"$in": list(only)}}, {"callback_url": {"$gt": ""}}]
        found = self._tasks.aggregate(
            [
                {"$match": among},
                {"$sort": {"untold_since": ASCENDING}},
                {"$limit": limit},
                {"$project": _projection(about)},
            ]
        )
        return [_untold(row) for row in found]

    def idle(self, *, before: datetime, but: Collection[str], limit: int) -> list[Idle]:
        """The others, of which something is untold since before the moment, the oldest first:
        neither of the types in `but` nor with a callback.
        """
        among = {
            "untold_since": {"$lt": before},
            "task_type": {"$nin": list(but)},
            "callback_url": None,
        }
        order = [("untold_since", ASCENDING)]
        found = self._tasks.find(among, {"last": {"$size": "$history"}}, sort=order, limit=limit)
        return [Idle(row["_id"], row["last"]) for row in found]

    def settle(self, idle: Sequence[Idle]) -> None:
        """Notes that nobody asked for all this; a task of which more happened since is left as it
        is, and so may be one that was locked.
        """
        by_last: dict[int, list[str]] = defaultdict(list)
        for each in idle:
            by_last[each.last].append(each.task_id)
        for last, task_ids in by_last.items():
            # Not by `_told`: these are all tasks there are, and a pipeline costs more.
            update = {"$max": {"told": last}, "$unset": {"untold_since": ""}}
            for start in range(0, len(task_ids), NOTED_AT_ONCE):
                some = task_ids[start : start + NOTED_AT_ONCE]
                self._note({"_id": {"$in": some}, f"history.{last}": {"$exists": False}}, update)

    def told(self, told: Sequence[Untold]) -> None:
        """Notes that others know of these transitions; what came since still waits, and what was
        locked may be told again.
        """
        by_last: dict[int, list[str]] = defaultdict(list)
        for each in told:
            by_last[each.news[-1].seq if each.news else 0].append(each.task_id)
        for last, task_ids in by_last.items():
            self._note({"_id": {"$in": task_ids}}, _told(last))

    def _note(self, among: Document, update: Document | list[Document]) -> None:
        try:
            with timeout(NOTE_S):
                self._tasks.update_many(among, update)
        except PyMongoError as exc:
            if not exc.timeout:
                raise
            log.warning("receipts.not_noted", error=type(exc).__name__)


def _told(last: int) -> list[Document]:
    """The update after which nothing up to the history's entry `last` is untold."""
    told = {"$max": [{"$ifNull": ["$told", 0]}, last]}
    # Entries are numbered from 1, so the one at the index `told` is the first that is not.
    next_at = {"$arrayElemAt": ["$history.at", "$told"]}
    is_left = {"$gt": [{"$size": "$history"}, "$told"]}
    return [
        {"$set": {"told": told}},
        {"$set": {"untold_since": {"$cond": [is_left, next_at, "$$REMOVE"]}}},
    ]


def _untold(row: Document) -> Untold:
    error = row["error_message"]
    return Untold(
        task_id=row["_id"],
        namespace_id=row["namespace_id"],
        task_type=row["task_type"],
        callback_url=row.get("callback_url"),
        additional_data=row["additional_data"],
        about=row["about"],
        outputs=row["outputs"],
        error_message=error[:MAX_ERROR_CHARACTERS] if error else None,
        done=row.get("done") or 0,
        news=tuple(_entry(entry) for entry in row["news"]),
    )


def _entry(entry: Document) -> Entry:
    return Entry(
        seq=entry["seq"],
        from_=None if entry["from"] is None else TaskStatusEnum(entry["from"]),
        to=TaskStatusEnum(entry["to"]),
        at=entry["at"],
        attempt=entry["attempt"],
    )
