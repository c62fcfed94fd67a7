"""The rows that a migration reads and writes, a bounded page at a time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from pymongo import ASCENDING, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.migrations.idmap import SOURCE
from app.migrations.plan import Track, TrackKind
from app.resources.extraction import DOCUMENTS, FAILURES, OBJECTS

PAGE_BYTES: Final = 16 * 1024 * 1024  # of a page of rows; one row alone may exceed it

COLLECTIONS: Final = {TrackKind.OBJECTS: OBJECTS, TrackKind.DOCUMENTS: DOCUMENTS}
OWNERS: Final = {TrackKind.OBJECTS: "bucket_id", TrackKind.DOCUMENTS: "collection_id"}


class TransferStore:
    """Objects and documents of both namespaces."""

    def __init__(self, database: Database[Document]) -> None:
        self._rows = {kind: database[name] for kind, name in COLLECTIONS.items()}
        self._documents = database[DOCUMENTS]
        self._failures = database[FAILURES]

    def page(self, track: Track, after: str, limit: int) -> list[Document]:
        """The source's next rows in the order of ids, none at the end.

        At most `limit`, and of `PAGE_BYTES` together unless the first alone is larger.
        """
        owned = {OWNERS[track.kind]: track.source_id, "_id": {"$gt": after}}
        rows = self._rows[track.kind]
        sized = rows.find(owned, {"size": {"$bsonSize": "$$ROOT"}})
        ids: list[str] = []
        held_bytes = 0
        for each in sized.sort("_id", ASCENDING).limit(limit):
            held_bytes += each["size"]
            if ids and held_bytes > PAGE_BYTES:
                break
            ids.append(each["_id"])
        # What is deleted in between is missing here; the next round sees that.
        return list(rows.find({"_id": {"$in": ids}}).sort("_id", ASCENDING))

    def counterparts(
        self, track: Track, target_ids: Sequence[str], session: ClientSession | None = None
    ) -> dict[str, Document]:
        """The target's rows with these ids, by id."""
        wanted = {"_id": {"$in": list(target_ids)}}
        found = self._rows[track.kind].find(wanted, session=session)
        return {row["_id"]: row for row in found}

    def outdated(self, track: Track, rows: Sequence[Document]) -> list[str]:
        """The target's rows that have a unique key of one of these, under another id.

        Objects are never changed, so theirs are gone from the source.
        """
        keys = [row["unique_key"] for row in rows if "unique_key" in row]
        if track.kind is not TrackKind.OBJECTS or not keys:
            return []
        held = {
            OWNERS[track.kind]: track.target_id,
            "unique_key": {"$in": keys},
            SOURCE: {"$nin": [row["_id"] for row in rows]},
        }
        return [row["_id"] for row in self._rows[track.kind].find(held, {"_id": 1})]

    def write(self, track: Track, rows: Sequence[Document], session: ClientSession) -> None:
        """Stores rows of the target, in place of those that have their ids."""
        if rows:
            writes = [ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in rows]
            self._rows[track.kind].bulk_write(writes, ordered=False, session=session)

    def surplus(self, track: Track, after: str, limit: int) -> tuple[list[str], str | None]:
        """Ids of the target whose rows are gone from the source, among the next `limit`, and the
        last id that was looked at; None at the end.
        """
        rows = self._rows[track.kind]
        owned = {OWNERS[track.kind]: track.target_id, "_id": {"$gt": after}}
        page = list(rows.find(owned, {SOURCE: 1}).sort("_id", ASCENDING).limit(limit))
        named = [row[SOURCE] for row in page if SOURCE in row]
        there = {row["_id"] for row in rows.find({"_id": {"$in": named}}, {"_id": 1})}
        gone = [row["_id"] for row in page if row.get(SOURCE) not in there]
        return gone, page[-1]["_id"] if page else None

    def delete(self, track: Track, ids: Sequence[str], session: ClientSession) -> None:
        """Takes rows of the target away."""
        self._rows[track.kind].delete_many({"_id": {"$in": list(ids)}}, session=session)

    def delete_made(
        self, collection_ids: Sequence[str], object_ids: Sequence[str], session: ClientSession
    ) -> None:
        """Takes the documents away that these collections have of these objects."""
        for collection_id in collection_ids:
            made = {"collection_id": collection_id, "object_id": {"$in": list(object_ids)}}
            self._documents.delete_many(made, session=session)

    def delete_failures(
        self, run_id: str, object_ids: Sequence[str], session: ClientSession
    ) -> None:
        """Forgets why these objects became no documents."""
        of_them = {"batch_id": run_id, "object_id": {"$in": list(object_ids)}}
        self._failures.delete_many(of_them, session=session)

    def unmade(
        self, collection_ids: Sequence[str], object_ids: Sequence[str], run_id: str
    ) -> set[str]:
        """Those of the objects that some collection has neither a document nor a failure of."""
        wanted = list(object_ids)
        failures = list(self._failures.find({"batch_id": run_id, "object_id": {"$in": wanted}}))
        lost = {row["object_id"] for row in failures if row["collection_id"] is None}
        found: set[str] = set()
        for collection_id in collection_ids:
            made = {"collection_id": collection_id, "object_id": {"$in": wanted}}
            there = {row["object_id"] for row in self._documents.find(made, {"object_id": 1})}
            there |= {r["object_id"] for r in failures if r["collection_id"] == collection_id}
            found.update(set(wanted) - there - lost)
        return found

    def failures(self, run_id: str, limit: int) -> list[Document]:
        """The first objects that became no documents, by object id."""
        found = self._failures.find({"batch_id": run_id}, limit=limit)
        return list(found.sort([("object_id", ASCENDING), ("_id", ASCENDING)]))

    def failure_count(self, run_id: str) -> int:
        """How many pairs of object and collection came to nothing."""
        return self._failures.count_documents({"batch_id": run_id})

    def document_count(self, collection_ids: Iterable[str]) -> int:
        """How many documents the collections have together."""
        return self._documents.count_documents({"collection_id": {"$in": list(collection_ids)}})

    def changed_since(
        self,
        track: Track,
        since: datetime,
        session: ClientSession,
        *,
        taxonomy_ids: Iterable[str],
        limit: int,
    ) -> list[Document]:
        """Rows of the source that were written since, at most `limit`, in no order.

        A document that one of the taxonomies was assigned since is among them.
        """
        late = {"$gte": since}
        changed: Document = {OWNERS[track.kind]: track.source_id}
        if track.kind is TrackKind.OBJECTS:
            changed["created_at"] = late  # objects are never changed, and this has an index
        else:
            assigned = [{f"taxonomies.{each}.assigned_at": late} for each in taxonomy_ids]
            changed["$or"] = [{"updated_at": late}, *assigned]
        return list(self._rows[track.kind].find(changed, session=session).limit(limit))

    def counts(self, track: Track, session: ClientSession | None = None) -> tuple[int, int]:
        """How many rows source and target have."""
        rows, owner = self._rows[track.kind], OWNERS[track.kind]
        return (
            rows.count_documents({owner: track.source_id}, session=session),
            rows.count_documents({owner: track.target_id}, session=session),
        )
