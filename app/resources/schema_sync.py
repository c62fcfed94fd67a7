"""Schemas of collections, made of their documents: as many as were written since the last look.

MongoDB looks at the documents, a bounded page at a time; only the kinds of fields come here.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app.database import Document, is_away, server_time
from app.query.field import MAX_NAME
from app.resources.collection import COLLECTION
from app.resources.document_schema import OF_BSON, DocumentSchema, FieldSeen, Part
from app.resources.extraction import DOCUMENTS

log = structlog.get_logger(__name__)

PAGE_DOCUMENTS: Final = 5_000
PAGE_TIME_MS: Final = 20_000
MAX_SEEN: Final = 10_000  # kinds of fields of one page
# A document has the time of the process that wrote it, which may be this much before it is there:
# clocks differ, and a transaction takes a while.
LATE: Final = timedelta(minutes=2)


class SchemaSync:
    """Keeps what `collections` says of schemas up to date with `documents`."""

    def __init__(
        self, database: Database[Document], *, page_documents: int = PAGE_DOCUMENTS
    ) -> None:
        self._database = database
        self._collections = database[COLLECTION]
        self._documents = database[DOCUMENTS]
        self._page_documents = page_documents

    def of_namespace(self, namespace_id: str) -> list[str]:
        """The ids of its collections."""
        found = self._collections.find({"namespace_id": namespace_id}, {"_id": 1})
        return [row["_id"] for row in found]

    def follow(self, written: Mapping[str, datetime]) -> None:
        """The same as `run` for each collection; raises what one of them failed of, after all."""
        failure: PyMongoError | ValueError | None = None
        for collection_id, written_at in written.items():
            try:
                self.run(collection_id, written_at=written_at)
            # Whatever is wrong with the documents of one, those of others are followed.
            except (PyMongoError, ValueError) as exc:
                if is_away(exc):
                    raise
                log.warning(
                    "schema.not_followed", collection_id=collection_id, error=type(exc).__name__
                )
                failure = exc
        if failure is not None:
            raise failure

    def run(self, collection_id: str, *, written_at: datetime) -> None:
        """Has the schema include what was written until then; nothing where it does already.

        Safe to repeat and to race: a schema only grows. A collection that is gone has none.
        """
        row = self._collections.find_one({"_id": collection_id}, {"last_schema_sync": 1})
        if row is None:
            return
        synced_at: datetime | None = row["last_schema_sync"]
        if synced_at is not None and synced_at > written_at:
            return
        began_at = server_time(self._database)
        seen: set[FieldSeen] = set()
        for within in self._pages(collection_id, synced_at):
            seen |= self._seen(collection_id, within)
        while not self._store(collection_id, seen, began_at):
            pass  # each time, another has made the schema wider meanwhile

    def _pages(self, collection_id: str, synced_at: datetime | None) -> Iterator[Document]:
        """Ranges of `updated_at` that have a page of documents each."""
        after: Document = {} if synced_at is None else {"$gt": synced_at - LATE}
        while True:
            # By the index alone.
            found = self._documents.find(
                {"collection_id": collection_id, **({"updated_at": after} if after else {})},
                {"_id": 0, "updated_at": 1},
                max_time_ms=PAGE_TIME_MS,
            ).sort([("collection_id", ASCENDING), ("updated_at", ASCENDING)])
            last = next(found.skip(self._page_documents - 1).limit(1), None)
            if last is None:
                yield after
                return
            yield {**after, "$lte": last["updated_at"]}
            after = {"$gt": last["updated_at"]}

    def _seen(self, collection_id: str, within: Document) -> set[FieldSeen]:
        """The kinds of fields that documents of the range have."""
        rows = self._documents.aggregate(
            [
                {
                    "$match": {
                        "collection_id": collection_id,
                        **({"updated_at": within} if within else {}),
                    }
                },
                {"$project": {"seen": {"$concatArrays": [_fields(part) for part in Part]}}},
                {"$unwind": "$seen"},
                # A longer name nobody can ask for, and a thousand of them have no room.
                {"$match": {"$expr": {"$lte": [{"$strLenCP": "$seen.name"}, MAX_NAME]}}},
                {"$group": {"_id": "$seen"}},
                {"$limit": MAX_SEEN},
            ],
            maxTimeMS=PAGE_TIME_MS,
        )
        found = (row["_id"] for row in rows)
        return {
            FieldSeen(Part(each["part"]), each["name"], OF_BSON[each["type"]])
            for each in found
            if each["type"] in OF_BSON
        }

    def _store(self, collection_id: str, seen: set[FieldSeen], began_at: datetime) -> bool:
        """Widens the stored schema by this; False where another did that at the same moment."""
        row = self._collections.find_one(
            {"_id": collection_id}, {"document_schema": 1, "schema_version": 1}
        )
        if row is None:
            return True
        before = DocumentSchema.from_stored(row.get("document_schema", ()))
        after = before.widened(seen)
        update: Document = {"$max": {"last_schema_sync": began_at}}
        if after != before:
            update["$set"] = {"document_schema": after.to_stored()}
            update["$inc"] = {"schema_version": 1}
        guard = {"_id": collection_id, "schema_version": row["schema_version"]}
        return bool(self._collections.update_one(guard, update).matched_count)


def _fields(part: Part) -> Document:
    """An expression: what the part of a document has, each with the name of its BSON type."""
    return {
        "$map": {
            "input": {"$objectToArray": {"$ifNull": [f"${part.value}", {}]}},
            "in": {
                "part": {"$literal": part.value},
                "name": "$$this.k",
                "type": {"$type": "$$this.v"},
            },
        }
    }
