"""What a chunk of a batch reads and writes: objects in, documents and failures out.

Both outputs are upserts under keys made of their inputs, so that a chunk which runs again leaves
the same rows, once each. They are stored with the progress of the attempt, in one transaction that
an attempt without its lease cannot commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from bson.binary import Binary, BinaryVectorDtype
from pymongo import ASCENDING, DeleteMany, IndexModel, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.identity import derived_id

OBJECTS: Final = "objects"
DOCUMENTS: Final = "documents"
FAILURES: Final = "failed_documents"

# A page of objects, whichever bound comes first; one object alone may exceed the bytes.
PAGE_OBJECTS: Final = 64
PAGE_BYTES: Final = 16 * 1024 * 1024

INDEXES: Final = [
    IndexModel([("batch_id", ASCENDING), ("object_id", ASCENDING), ("_id", ASCENDING)])
]


Found = tuple[str, Document | None]  # an object's id and what is stored of it


@dataclass(frozen=True, slots=True)
class Origin:
    """The attempt that writes, and the batch it works for."""

    namespace_id: str
    bucket_id: str
    batch_id: str
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class NewDocument:
    """One object as a collection sees it, with its float32 vector of shape (dimension,)."""

    collection_id: str
    object_id: str
    feature: str
    vector: npt.NDArray[np.float32]
    fields: Mapping[str, object]
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """Why an object is no document; `collection_id` None where no collection could take it."""

    object_id: str
    collection_id: str | None
    error_type: str
    reason: str


class ExtractionStore:
    """Objects, documents and failures, in the steps of one chunk."""

    def __init__(self, database: Database[Document]) -> None:
        self._objects = database[OBJECTS]
        self._documents = database[DOCUMENTS]
        self._failures = database[FAILURES]

    def ensure_indexes(self) -> None:
        """Makes the index that a batch's failures are listed by; safe to repeat."""
        self._failures.create_indexes(INDEXES)

    def pages(self, origin: Origin, object_ids: Sequence[str]) -> Iterator[list[Found]]:
        """Each of the ids, in their order, with its stored object, or None: there is none.

        Queries for each page: no cursor stays open while a job works on what it read.
        """
        for start in range(0, len(object_ids), PAGE_OBJECTS):
            some = object_ids[start : start + PAGE_OBJECTS]
            sizes = self._find(origin, some, {"size_bytes": {"$bsonSize": "$$ROOT"}})
            for page in _pages(some, {key: row["size_bytes"] for key, row in sizes.items()}):
                found = self._find(origin, page)
                yield [(object_id, found.get(object_id)) for object_id in page]

    def write(
        self,
        origin: Origin,
        object_ids: Sequence[str],
        documents: Sequence[NewDocument],
        failures: Sequence[FailedDocument],
        session: ClientSession | None = None,
    ) -> None:
        """Stores the outcome of these objects in place of an earlier one of the same batch."""
        at = datetime.now(UTC)
        if documents:
            writes = [_upsert(origin, document, at) for document in documents]
            self._documents.bulk_write(writes, ordered=False, session=session)
        earlier = {"batch_id": origin.batch_id, "object_id": {"$in": list(object_ids)}}
        kept = [_failure(origin, failure, at) for failure in failures]
        if kept or self._failures.count_documents(earlier, limit=1, session=session):
            self._failures.bulk_write(
                [DeleteMany({**earlier, "_id": {"$nin": [row["_id"] for row in kept]}})]
                + [UpdateOne({"_id": row["_id"]}, {"$set": row}, upsert=True) for row in kept],
                session=session,
            )

    def _find(
        self, origin: Origin, object_ids: Sequence[str], projection: Document | None = None
    ) -> dict[str, Document]:
        query = {
            "_id": {"$in": list(object_ids)},
            "namespace_id": origin.namespace_id,
            "bucket_id": origin.bucket_id,
        }
        return {row["_id"]: row for row in self._objects.find(query, projection)}

    def failures(
        self, batch_id: str, *, limit: int, skip: int = 0, collection_id: str | None = None
    ) -> list[Document]:
        """A batch's failures by object, `limit` of them after `skip`."""
        found = self._failures.find(_failures_of(batch_id, collection_id), limit=limit, skip=skip)
        return list(found.sort([("object_id", ASCENDING), ("_id", ASCENDING)]))

    def failure_count(self, batch_id: str, *, collection_id: str | None = None) -> int:
        """How many failures a batch has: pairs of object and collection."""
        return self._failures.count_documents(_failures_of(batch_id, collection_id))

    def failure_counts(self, batch_ids: Sequence[str]) -> dict[str, int]:
        """The same for many batches at once; those without failures are left out."""
        grouped = self._failures.aggregate(
            [
                {"$match": {"batch_id": {"$in": list(batch_ids)}}},
                {"$group": {"_id": "$batch_id", "count": {"$sum": 1}}},
            ]
        )
        return {row["_id"]: row["count"] for row in grouped}


def _pages(object_ids: Sequence[str], sizes_bytes: Mapping[str, int]) -> Iterator[list[str]]:
    page: list[str] = []
    held_bytes = 0
    for object_id in object_ids:
        size_bytes = sizes_bytes.get(object_id, 0)
        if page and held_bytes + size_bytes > PAGE_BYTES:
            yield page
            page, held_bytes = [], 0
        page.append(object_id)
        held_bytes += size_bytes
    if page:
        yield page


def _failures_of(batch_id: str, collection_id: str | None) -> Document:
    query = {"batch_id": batch_id}
    return query if collection_id is None else {**query, "collection_id": collection_id}


def document_id(collection_id: str, object_id: str) -> str:
    """The id of the one document that a collection has of an object."""
    return derived_id("doc", like=object_id, key=f"{collection_id}:{object_id}")


def _upsert(origin: Origin, document: NewDocument, at: datetime) -> UpdateOne:
    vector = Binary.from_vector(document.vector, BinaryVectorDtype.FLOAT32)
    stored = {
        "namespace_id": origin.namespace_id,
        "collection_id": document.collection_id,
        "bucket_id": origin.bucket_id,
        "object_id": document.object_id,
        "batch_id": origin.batch_id,
        "task_id": origin.task_id,
        "attempt": origin.attempt,
        "vectors": {document.feature: vector},
        "fields": dict(document.fields),
        "metadata": dict(document.metadata),
        "updated_at": at,
    }
    key = {"_id": document_id(document.collection_id, document.object_id)}
    return UpdateOne(key, {"$set": stored, "$setOnInsert": {"created_at": at}}, upsert=True)


def _failure(origin: Origin, failure: FailedDocument, at: datetime) -> Document:
    place = f"{origin.batch_id}:{failure.object_id}:{failure.collection_id}"
    return {
        "_id": derived_id("fail", like=failure.object_id, key=place),
        "namespace_id": origin.namespace_id,
        "batch_id": origin.batch_id,
        "object_id": failure.object_id,
        "collection_id": failure.collection_id,
        "error_type": failure.error_type,
        "reason": failure.reason,
        "task_id": origin.task_id,
        "attempt": origin.attempt,
        "failed_at": at,
    }
