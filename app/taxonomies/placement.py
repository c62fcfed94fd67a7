"""Where assignments lie: on the documents themselves, or on copies in a target collection.

Each is an upsert under a key made of its inputs. What an earlier task left is taken away by ranges
of ids once all chunks have done their part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from pymongo import ASCENDING, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.identity import derived_id
from app.query.condition import compile_filters, joined
from app.resources.document import FIELDS
from app.resources.extraction import DOCUMENTS
from app.taxonomies.assignment import Assignment, merged_fields
from app.taxonomies.materialization import Materialization

# A step of a chunk, whichever bound comes first; one document alone may exceed the bytes.
STEP_DOCUMENTS: Final = 1_000
STEP_ASSIGNMENTS: Final = 5_000  # documents × top_k
STEP_BYTES: Final = 16 * 1024 * 1024
IDS_PER_READ: Final = 5_000
MAX_PARTS: Final = 10_000  # their bounds are kept in one document
# A range that is cleaned at once: a transaction has a few seconds.
SWEPT_DOCUMENTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Writer:
    """The attempt that writes, and the task that it works for."""

    task_id: str
    chunk_task_id: str
    attempt: int


class PlacementStore:
    """Documents in, assignments out, for one materialization."""

    def __init__(self, database: Database[Document], row: Materialization) -> None:
        self._documents = database[DOCUMENTS]
        self._row = row
        self._copies = row.target_collection_id is not None
        self._key = f"taxonomies.{row.taxonomy_id}"

    def ids(self, after: str = "", upto: str | None = None) -> Iterator[str]:
        """The ids of the documents to assign, in order, from beyond `after` to `upto`."""
        selected = self._selected()
        while True:
            condition = joined([selected, _range(after, upto)])
            cursor = self._documents.find(condition, {"_id": 1}, sort=[("_id", ASCENDING)])
            some = [row["_id"] for row in cursor.limit(IDS_PER_READ)]
            yield from some
            if len(some) < IDS_PER_READ:
                return
            after = some[-1]

    def parts(self, size: int, *, most: int = MAX_PARTS) -> Iterator[tuple[str, int]]:
        """The documents to assign cut into parts: the last id of each, and how many it has.

        Parts of `size` documents, or larger ones where there would be more than `most`.
        """
        size = max(size, -(-self._documents.count_documents(self._selected()) // most))
        ids = self.ids()
        for part in iter(lambda: list(islice(ids, size)), []):
            yield part[-1], len(part)

    def pages(
        self, document_ids: Sequence[str], paths: Sequence[str], *, top_k: int
    ) -> Iterator[list[Document]]:
        """These documents in order, those left out that are gone by now, in bounded pages.

        With what is read of them at `paths`, or whole where copies are made.
        """
        size = max(1, min(STEP_DOCUMENTS, STEP_ASSIGNMENTS // top_k))
        projection = None if self._copies else dict.fromkeys(paths, 1) or {"_id": 1}
        for start in range(0, len(document_ids), size):
            some = document_ids[start : start + size]
            for part in self._parts(some):
                rows = {row["_id"]: row for row in self._documents.find(_these(part), projection)}
                yield [rows[one] for one in part if one in rows]

    def write(
        self,
        writer: Writer,
        documents: Sequence[Document],
        found: Sequence[Sequence[Assignment]],
        session: ClientSession,
    ) -> None:
        """Stores what the documents are assigned; nothing of those that are assigned nothing."""
        at = datetime.now(UTC)
        pairs = [(one, some) for one, some in zip(documents, found, strict=True) if some]
        if self._copies:
            writes = [self._copy(writer, one, some, at) for one, some in pairs]
        else:
            writes = [
                UpdateOne(
                    {"_id": one["_id"], "collection_id": self._row.collection_id},
                    {"$set": {self._key: self._entry(writer, some, at)}},
                )
                for one, some in pairs
            ]
        if writes:
            self._documents.bulk_write(writes, ordered=False, session=session)

    def ranges(self) -> Iterator[tuple[str, str | None]]:
        """All ids of the collection that holds the assignments, cut into ranges."""
        place = {"collection_id": self._row.target_collection_id or self._row.collection_id}
        after = ""
        while True:
            condition = {**place, "_id": {"$gt": after}}
            cursor = self._documents.find(condition, {"_id": 1}, sort=[("_id", ASCENDING)])
            last = next(cursor.skip(SWEPT_DOCUMENTS - 1).limit(1), None)
            if last is None:
                yield after, None
                return
            yield after, last["_id"]
            after = last["_id"]

    def sweep(self, task_id: str, within: tuple[str, str | None], session: ClientSession) -> None:
        """Takes away, within a range of ids, what another task than this one assigned."""
        if self._copies:
            self._documents.delete_many(
                {
                    "collection_id": self._row.target_collection_id,
                    "origin.taxonomy_id": self._row.taxonomy_id,
                    "origin.collection_id": self._row.collection_id,
                    f"{self._key}.task_id": {"$ne": task_id},
                    **_range(*within),
                },
                session=session,
            )
            return
        self._documents.update_many(
            {
                "collection_id": self._row.collection_id,
                f"{self._key}.task_id": {"$exists": True, "$ne": task_id},
                **_range(*within),
            },
            {"$unset": {self._key: ""}},
            session=session,
        )

    def _selected(self) -> Document:
        scope = {
            "collection_id": self._row.collection_id,
            "namespace_id": self._row.namespace_id,
        }
        return joined([scope, compile_filters(self._row.filters, FIELDS)])

    def _parts(self, document_ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """The ids, cut where whole documents would be too many bytes."""
        if not self._copies:
            yield document_ids
            return
        size = {"size_bytes": {"$bsonSize": "$$ROOT"}}
        sizes = {
            row["_id"]: row["size_bytes"]
            for row in self._documents.find(_these(document_ids), size)
        }
        part: list[str] = []
        held_bytes = 0
        for one in document_ids:
            if part and held_bytes + sizes.get(one, 0) > STEP_BYTES:
                yield part
                part, held_bytes = [], 0
            part.append(one)
            held_bytes += sizes.get(one, 0)
        yield part

    def _entry(self, writer: Writer, found: Sequence[Assignment], at: datetime) -> Document:
        return {
            "version": self._row.version,
            "task_id": writer.task_id,
            "assignments": [each.to_document() for each in found],
            "fields": merged_fields(found),
            "assigned_at": at,
        }

    def _copy(
        self, writer: Writer, document: Document, found: Sequence[Assignment], at: datetime
    ) -> UpdateOne:
        """The document once more in the target, under an id of its own."""
        row = self._row
        key = f"{row.target_collection_id}:{row.taxonomy_id}:{document['_id']}"
        stored: Document = {
            "namespace_id": row.namespace_id,
            "collection_id": row.target_collection_id,
            "bucket_id": document["bucket_id"],
            "object_id": document["object_id"],
            "batch_id": document.get("batch_id"),
            "origin": {
                "taxonomy_id": row.taxonomy_id,
                "collection_id": row.collection_id,
                "document_id": document["_id"],
            },
            "task_id": writer.chunk_task_id,
            "attempt": writer.attempt,
            "vectors": document.get("vectors", {}),
            "fields": document["fields"],
            "metadata": document["metadata"],
            self._key: self._entry(writer, found, at),  # other taxonomies' stay
            "updated_at": at,
        }
        return UpdateOne(
            {"_id": derived_id("doc", like=document["_id"], key=key)},
            {"$set": stored, "$setOnInsert": {"created_at": at}},
            upsert=True,
        )


def _range(after: str, upto: str | None) -> Document:
    return {"_id": {"$gt": after} if upto is None else {"$gt": after, "$lte": upto}}


def _these(document_ids: Sequence[str]) -> Document:
    return {"_id": {"$in": list(document_ids)}}
