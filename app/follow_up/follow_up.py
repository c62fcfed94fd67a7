"""What is to run after ingestion, one row for each application of a collection.

A batch that ended well leaves its ticket in the rows of its collections. Later batches replace it
and put off what is due, so that a series of batches is followed by one run, and a ticket is taken
out only by whoever saw the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database

from app.database import Document
from app.identity import derived_id
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.transition import NOW, later, literal
from app.resources.application import ClusterApplication, TaxonomyApplication
from app.resources.collection import Collection

COLLECTION: Final = "follow_ups"
# However often batches come, what follows them waits this many debounce times at most.
LONGEST_WAIT: Final = 10
ROWS_PER_SWEEP: Final = 100

INDEXES: Final = [
    IndexModel([("due_at", ASCENDING)], sparse=True),
    IndexModel([("collection_id", ASCENDING)]),
    IndexModel([("namespace_id", ASCENDING)]),
]

Application = TaxonomyApplication | ClusterApplication


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One application of one collection that is due; `ticket` is what called for it."""

    row_id: str
    namespace_id: str
    collection_id: str
    application: Application
    ticket: str

    def named_by(self, collection: Collection) -> "FollowUp | None":
        """The same as the collection has it now; None where it no longer has it run."""
        for application in _automatic(collection):
            if _row_id(collection, application) == self.row_id:
                return replace(self, application=application)
        return None

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored row."""
        kind = KINDS[stored["kind"]]
        return cls(
            row_id=stored["_id"],
            namespace_id=stored["namespace_id"],
            collection_id=stored["collection_id"],
            application=kind.from_document(stored["application"]),
            ticket=stored["ticket"],
        )


KINDS: Final[dict[str, type[TaxonomyApplication] | type[ClusterApplication]]] = {
    "taxonomy": TaxonomyApplication,
    "cluster": ClusterApplication,
}


class FollowUpStore:
    """The collection `follow_ups`."""

    def __init__(self, database: Database[Document]) -> None:
        self._rows = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Makes the indexes; safe to repeat."""
        self._rows.create_indexes(INDEXES)

    def call_for(self, task_id: str, collection: Collection, *, debounce: timedelta) -> None:
        """Has the collection's applications run once no batch has ended for `debounce`; safe to
        repeat. `task_id` is the task that ended: a batch that is retried calls once more.
        """
        for application in _automatic(collection):
            row_id = _row_id(collection, application)
            ticket = derived_id("flw", like=task_id, key=f"{row_id}:{task_id}")
            match application:
                case ClusterApplication():
                    kind, cooldown_s = "cluster", application.cooldown_seconds
                case TaxonomyApplication():
                    kind, cooldown_s = "taxonomy", 0
            fields = {
                "namespace_id": collection.namespace_id,
                "collection_id": collection.collection_id,
                "kind": kind,
                "application": literal(application.to_document()),
                "since": {"$ifNull": ["$since", NOW]},
                "ticket": literal(ticket),
            }
            soonest = {"$min": [later(debounce), _after("$since", debounce * LONGEST_WAIT)]}
            due_at = {"$max": [soonest, _after("$last_started_at", timedelta(seconds=cooldown_s))]}
            self._rows.update_one(
                {"_id": row_id}, [{"$set": fields}, {"$set": {"due_at": due_at}}], upsert=True
            )

    def due(self) -> list[FollowUp]:
        """What is to run now, the longest due first."""
        due = {"due_at": {"$exists": True}, "$expr": {"$lte": ["$due_at", NOW]}}
        found = self._rows.find(due)
        return list(
            map(FollowUp.from_document, found.sort("due_at", ASCENDING).limit(ROWS_PER_SWEEP))
        )

    def done(self, follow_up: FollowUp, *, task_id: str | None, error: str | None = None) -> None:
        """Takes the ticket out, unless a newer one has come; safe to repeat."""
        started = {} if task_id is None else {"last_started_at": NOW, "last_task_id": task_id}
        self._rows.update_one(
            {"_id": follow_up.row_id, "ticket": follow_up.ticket},
            [
                {"$set": {**started, "last_error": literal(error)}},
                {"$unset": ["ticket", "due_at", "since"]},
            ],
        )

    def forget(self, follow_up: FollowUp) -> None:
        """Takes the row away with its ticket, unless a newer one has come; safe to repeat."""
        self._rows.delete_one({"_id": follow_up.row_id, "ticket": follow_up.ticket})

    def put_off(self, follow_up: FollowUp, *, delay: timedelta) -> None:
        """Makes it due later, for something is in its way now."""
        self._rows.update_one(
            {"_id": follow_up.row_id, "ticket": follow_up.ticket},
            [{"$set": {"due_at": later(delay)}}],
        )

    def by_collection(self, collection_ids: Sequence[str]) -> dict[str, list[JsonObject]]:
        """What ran after the batches of each collection, or is to run; without any, left out."""
        found: dict[str, list[JsonObject]] = {}
        for row in self._rows.find({"collection_id": {"$in": list(collection_ids)}}).sort("_id"):
            found.setdefault(row["collection_id"], []).append(_json(row))
        return found


def _json(row: Document) -> JsonObject:
    """A row as users read it."""
    return {
        "kind": row["kind"],
        "taxonomy_id": row["application"].get("taxonomy_id"),
        "cluster_id": row["application"].get("cluster_id"),
        "due_at": rfc3339(row.get("due_at")),
        "last_started_at": rfc3339(row.get("last_started_at")),
        "last_task_id": row.get("last_task_id"),
        "last_error": row.get("last_error"),
    }


def _automatic(collection: Collection) -> Sequence[Application]:
    applications = collection.applications
    clusters = [each for each in applications.clusters if each.auto_execute_on_batch]
    return [*applications.taxonomies, *clusters]


def _row_id(collection: Collection, application: Application) -> str:
    return f"{collection.collection_id}:{_key(application)}"


def _key(application: Application) -> str:
    if isinstance(application, ClusterApplication):
        return application.cluster_id
    target = application.target_collection_id
    return application.taxonomy_id if target is None else f"{application.taxonomy_id}:{target}"


def _after(start: str, delay: timedelta) -> Document:
    """`delay` after the time in a field; null where there is none, which `$max` leaves out."""
    amount_ms = int(delay.total_seconds() * 1000)
    return {"$dateAdd": {"startDate": start, "unit": "millisecond", "amount": amount_ms}}
