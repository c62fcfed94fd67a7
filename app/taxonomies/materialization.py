"""Materializations: which task assigns a taxonomy's nodes to a collection's documents.

One row for each taxonomy, collection and place of the assignments: at most one task is open for
it. Its status is its task's; what the receipt said at the end is copied by a sweep.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError, PermanentError
from app.events.outbox import OutboxStore
from app.events.resource import Kind, Thing, deletion
from app.identity import derived_id, new_id
from app.receipts.draft import this_moment
from app.receipts.ledger import Ledger
from app.receipts.receipt import JsonObject, NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.resources.collection import CollectionStore
from app.resources.launch import launch
from app.resources.settlement import settle
from app.taxonomies.taxonomy import COLLECTION as TAXONOMIES
from app.taxonomies.taxonomy import Taxonomy

COLLECTION: Final = "materializations"
TASK_TYPE: Final = "api_taxonomies_materialize"
EARLIER_KEPT: Final = 50
SHOWN: Final = 100

INDEXES: Final = [
    IndexModel([("taxonomy_id", ASCENDING), ("updated_at", DESCENDING)]),
    IndexModel([("outcome", ASCENDING), ("task_id", ASCENDING)]),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A taxonomy at one version, the collection it goes over, and where the assignments go.

    Without a target they go onto the documents. `chunk_documents` go to one child task.
    """

    taxonomy: Taxonomy
    collection_id: str
    target_collection_id: str | None = None
    filters: JsonObject | None = None
    chunk_documents: int = 5_000

    @property
    def materialization_id(self) -> str:
        """The id of the one row for it."""
        like = self.taxonomy.taxonomy_id
        key = f"{like}:{self.collection_id}:{self.target_collection_id or ''}"
        return derived_id("mat", like=like, key=key)

    @property
    def filters_text(self) -> str | None:
        """As the row has them: no key of a user's is ever a key of ours."""
        return json.dumps(self.filters, sort_keys=True) if self.filters else None


@dataclass(frozen=True, slots=True)
class Materialization:
    """One row. `bounds` are the last id and the size of each chunk once they are planned.

    `applied_version` is the version of the last task that completed, None before the first.
    """

    materialization_id: str
    namespace_id: str
    taxonomy_id: str
    collection_id: str
    target_collection_id: str | None
    version: int
    filters: JsonObject | None
    chunk_documents: int
    bounds: list[tuple[str, int]] | None
    applied_version: int | None
    status: TaskStatusEnum
    task_id: str | None
    earlier_task_ids: list[str]
    updated_at: datetime

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The stored row."""
        filters = document["filters"]
        return cls(
            materialization_id=document["_id"],
            namespace_id=document["namespace_id"],
            taxonomy_id=document["taxonomy_id"],
            collection_id=document["collection_id"],
            target_collection_id=document["target_collection_id"],
            version=document["version"],
            filters=None if filters is None else json.loads(filters),
            chunk_documents=document["chunk_documents"],
            bounds=_bounds(document["bounds"]),
            applied_version=document["applied_version"],
            status=TaskStatusEnum(document["status"]),
            task_id=document["task_id"],
            earlier_task_ids=document["earlier_task_ids"],
            updated_at=document["updated_at"],
        )


class MaterializationStore:
    """The collection `materializations`; a submit stores row and receipt in one transaction."""

    def __init__(self, database: Database[Document], receipts: ReceiptStore) -> None:
        self._outbox = OutboxStore(database)
        self._rows = database[COLLECTION]
        self._taxonomies = database[TAXONOMIES]
        self._collections = CollectionStore(database)
        self._receipts = receipts

    def ensure_indexes(self) -> None:
        """Makes the indexes; safe to repeat."""
        self._rows.create_indexes(INDEXES)

    def of_task(self, materialization_id: str, task_id: str) -> Materialization:
        """The row, for the task that it belongs to; `PermanentError` where it is another's."""
        row = self._rows.find_one({"_id": materialization_id, "task_id": task_id})
        if row is None:
            raise PermanentError("The taxonomy is materialized by another task by now")
        return Materialization.from_document(row)

    def of_taxonomy(self, taxonomy: Taxonomy) -> list[Materialization]:
        """Where the taxonomy is materialized, the latest first, up to a bound."""
        query = {"taxonomy_id": taxonomy.taxonomy_id, "task_id": {"$ne": None}}
        rows = self._rows.find(query, sort=[("updated_at", DESCENDING)], limit=SHOWN)
        return [Materialization.from_document(row) for row in rows]

    def submit(self, wanted: Wanted, task: NewTask, ledger: Ledger) -> Receipt:
        """The receipt of the task, which this call made, or of the same that is still open.

        `AlreadyExistsError` where the open one has another version or other filters;
        `NotFoundError` where the taxonomy was deleted, `TooManyRequestsError` where the
        namespace's quota has no room: nothing is changed by either.
        """
        row = self._row(wanted)
        if (task_id := new_id("tsk", task.place)) in (row.task_id, *row.earlier_task_ids):
            return self._receipts.get(task_id)  # an earlier run of this request
        open_task = self._open(row)
        if open_task is None:
            receipt = launch(ledger, task, partial(self._start, row, wanted))
            if receipt is not None:
                return receipt
            row = self._row(wanted)
            open_task = self._open(row)
        if open_task is not None and _is_same(row, wanted):
            return open_task
        raise AlreadyExistsError(
            "This taxonomy is being materialized over the same collection and target with another "
            "version or other filters: wait for its task, or kill it"
        )

    def plan(
        self, row: Materialization, bounds: Sequence[tuple[str, int]], session: ClientSession
    ) -> None:
        """Fixes the chunks of a task, once."""
        guard = {"_id": row.materialization_id, "task_id": row.task_id, "bounds": None}
        self._rows.update_one(guard, {"$set": {"bounds": list(bounds)}}, session=session)

    def complete(self, row: Materialization, session: ClientSession) -> None:
        """Records that all the assignments are those of the task's version.

        Whoever sees that sees the assignments: no earlier answer is given about the documents.
        """
        guard = {"_id": row.materialization_id, "task_id": row.task_id}
        update = {"$set": {"applied_version": row.version}}
        self._rows.update_one(guard, update, session=session)
        self._collections.move_on([row.target_collection_id or row.collection_id], session)

    def delete_taxonomy(self, taxonomy: Taxonomy) -> None:
        """Deletes it with all versions; `AlreadyExistsError` while a task of it is open.

        What it was assigned to stays as it is.
        """

        name, namespace_id = taxonomy.taxonomy_name, taxonomy.namespace_id
        thing = Thing.named(Kind.TAXONOMY, taxonomy.taxonomy_id, name, namespace_id=namespace_id)
        gone = deletion(thing, this_moment())

        def delete(session: ClientSession) -> bool:
            # First: a submit that is under way changes this document, too, and one of both waits.
            key = {"_id": taxonomy.taxonomy_id, "namespace_id": taxonomy.namespace_id}
            deleted = self._taxonomies.delete_one(key, session=session)
            rows = self._rows.find({"taxonomy_id": taxonomy.taxonomy_id}, session=session)
            if any(self._open(Materialization.from_document(row)) for row in rows):
                raise AlreadyExistsError(
                    f"The taxonomy '{taxonomy.taxonomy_name}' is being materialized: wait for its "
                    "task, or kill it"
                )
            self._rows.delete_many({"taxonomy_id": taxonomy.taxonomy_id}, session=session)
            return bool(deleted.deleted_count)

        self._outbox.telling(delete, lambda deleted: [gone] if deleted else [])

    def settle(self) -> int:
        """Copies the ends of tasks to their rows, and counts them; safe to repeat."""
        return settle(self._rows, self._receipts)

    def _row(self, wanted: Wanted) -> Materialization:
        """The row of this place, made where there is none: then it has no task."""
        taxonomy, target = wanted.taxonomy, wanted.target_collection_id
        row: Document = {
            "namespace_id": taxonomy.namespace_id,
            "taxonomy_id": taxonomy.taxonomy_id,
            "collection_id": wanted.collection_id,
            "target_collection_id": target,
            **_asked(wanted),
            "applied_version": None,
            "status": TaskStatusEnum.DRAFT.value,
            "task_id": None,
            "earlier_task_ids": [],
            "outcome": None,
            "updated_at": this_moment(),
        }
        found = self._rows.find_one_and_update(
            {"_id": wanted.materialization_id},
            {"$setOnInsert": row},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert found is not None
        return Materialization.from_document(found)

    def _open(self, row: Materialization) -> Receipt | None:
        """The receipt of the row's task while that has not ended."""
        receipt = self._receipts.find(row.task_id) if row.task_id else None
        return None if receipt is None or receipt.is_terminal else receipt

    def _start(
        self, row: Materialization, wanted: Wanted, document: Document, session: ClientSession
    ) -> bool:
        at = document["created_at"]
        key = {"_id": row.taxonomy_id, "namespace_id": row.namespace_id}
        seen = self._taxonomies.update_one(key, {"$set": {"submitted_at": at}}, session=session)
        if not seen.matched_count:
            raise NotFoundError(f"There is no taxonomy '{wanted.taxonomy.taxonomy_name}'")
        earlier = [*row.earlier_task_ids, *([row.task_id] if row.task_id else [])]
        started = self._rows.update_one(
            {"_id": row.materialization_id, "task_id": row.task_id},
            {
                "$set": {
                    **_asked(wanted),
                    "status": TaskStatusEnum.PENDING.value,
                    "task_id": document["_id"],
                    "earlier_task_ids": earlier[-EARLIER_KEPT:],
                    "outcome": None,
                    "updated_at": at,
                }
            },
            session=session,
        )
        return bool(started.matched_count)


def _asked(wanted: Wanted) -> Document:
    return {
        "version": wanted.taxonomy.version,
        "filters": wanted.filters_text,
        "chunk_documents": wanted.chunk_documents,
        "bounds": None,
    }


def _bounds(stored: list[list[Any]] | None) -> list[tuple[str, int]] | None:
    return None if stored is None else [(str(upto), int(count)) for upto, count in stored]


def _is_same(row: Materialization, wanted: Wanted) -> bool:
    asked = (wanted.taxonomy.version, wanted.filters or None)
    return (row.version, row.filters) == asked
