"""The transitions of tasks, as those who watch them read them: what is new, and whether any is."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from app.database import Document
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.store import ReceiptStore

ALL: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Chapter:
    """The end of a history, as it was at `version` of its receipt."""

    version: int
    entries: list[Document]


class HistoryStore:
    """Reads of a few bytes: they are made at every look at what is watched."""

    def __init__(self, receipts: ReceiptStore) -> None:
        self._tasks = receipts.tasks

    def versions(self, task_ids: Collection[str]) -> dict[str, int]:
        """The version of each of the receipts that there are."""
        found = self._tasks.find({"_id": {"$in": list(task_ids)}}, {"version": 1})
        return {row["_id"]: row["version"] for row in found}

    def after(self, task_id: str, seq: int) -> Chapter | None:
        """The transitions above `seq`, in order, or None: there is no such receipt any more."""
        projection = {"version": 1, "history": {"$slice": [seq, ALL]}}
        document = self._tasks.find_one({"_id": task_id}, projection)
        return Chapter(document["version"], document["history"]) if document else None


def transition_json(entry: Document, *, with_traceback: bool) -> JsonObject:
    """A transition as users read it: seq, from, to, at, actor, attempt, worker, reason; the
    traceback is for those who may do everything.
    """
    shown = {**entry, "at": rfc3339(entry["at"])}
    if not with_traceback:
        del shown["traceback"]
    return shown
