"""Rows that are to go, in steps that each take a moment."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pymongo import ASCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.events.outbox import OutboxStore
from app.events.resource import STANDING, Thing, deletion
from app.receipts.draft import this_moment

ROWS_PER_STEP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Range:
    """Rows of one collection of MongoDB; the condition runs on an index."""

    rows: str
    condition: Document


@dataclass(frozen=True, slots=True)
class Step:
    """A few of them, by id."""

    rows: str
    ids: list[str]


def ids_of(database: Database[Document], rows: str, condition: Document) -> Iterator[str]:
    """The ids of such rows in order, a page at a time: no cursor waits for what is deleted."""
    after = ""
    while True:
        beyond = {"$and": [condition, {"_id": {"$gt": after}}]}
        page = database[rows].find(beyond, {"_id": 1}, limit=ROWS_PER_STEP)
        found = [row["_id"] for row in page.sort("_id", ASCENDING)]
        yield from found
        if len(found) < ROWS_PER_STEP:
            return
        after = found[-1]


class Removal:
    """Everything in some ranges. A step that is repeated finds nothing more to do."""

    def __init__(self, database: Database[Document], ranges: Callable[[], Iterable[Range]]) -> None:
        """`ranges` is asked each time anew, and may itself read what is there."""
        self._database = database
        self._outbox = OutboxStore(database)
        self._ranges = ranges

    def count(self) -> int:
        """How many rows there are now."""
        return sum(
            self._database[each.rows].count_documents(each.condition) for each in self._ranges()
        )

    def steps(self) -> Iterator[Step]:
        """What to delete before the next step is asked for."""
        for each in self._ranges():
            rows = self._database[each.rows]
            while found := list(
                rows.find(each.condition, {"_id": 1}, limit=ROWS_PER_STEP).sort("_id", ASCENDING)
            ):
                yield Step(each.rows, [row["_id"] for row in found])

    def delete(self, step: Step, session: ClientSession) -> None:
        """Deletes one step's rows; others are told of collections, clusters and taxonomies."""
        rows, these = self._database[step.rows], {"_id": {"$in": step.ids}}
        if (kind := STANDING.get(step.rows)) is not None:
            named = {"namespace_id": 1, f"{kind}_name": 1}
            at, found = this_moment(), rows.find(these, named, session=session)
            events = [deletion(Thing.of_row(kind, row), at) for row in found]
            self._outbox.add(events, session=session)
        rows.delete_many(these, session=session)
