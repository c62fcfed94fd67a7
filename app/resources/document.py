"""Documents: what extractors made of objects. Batches write them; here they are read."""

from collections.abc import Iterable, Sequence
from typing import Final

from bson.binary import Binary
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database

from app.database import Document
from app.errors import NotFoundError
from app.query.condition import compile_filters, joined
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, count, list_page
from app.query.patience import TIME_LIMIT_MS, explained
from app.receipts.receipt import JsonObject, rfc3339
from app.resources.aggregation import Aggregation, Group
from app.resources.collection import Collection

WITHOUT_VECTORS: Final = {"vectors": 0}

FIELDS: Final = FieldSet(
    {
        "document_id": Field("_id", sortable=True, nullable=False),
        "object_id": Field("object_id", sortable=True, nullable=False),
        "bucket_id": Field("bucket_id"),
        "batch_id": Field("batch_id"),
        "task_id": Field("task_id"),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
    prefixes={"metadata": "metadata", "fields": "fields", "taxonomies": "taxonomies"},
)

_COLLECTION: Final = ("collection_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_COLLECTION, ("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([_COLLECTION, ("object_id", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([_COLLECTION, ("_id", ASCENDING)]),
    IndexModel([_COLLECTION, ("updated_at", ASCENDING)]),
    IndexModel([("task_id", ASCENDING)]),
]


class DocumentStore:
    """The collection `documents`."""

    def __init__(self, database: Database[Document]) -> None:
        self._documents = database["documents"]

    def ensure_indexes(self) -> None:
        """Makes lists and counts fast; safe to repeat."""
        self._documents.create_indexes(INDEXES)

    def get(self, collection: Collection, document_id: str, *, vectors: bool) -> Document:
        """The document, or `NotFoundError`."""
        found = self._documents.find_one(
            {"_id": document_id, **_scope(collection)}, None if vectors else WITHOUT_VECTORS
        )
        if found is None:
            raise NotFoundError(f"There is no document '{document_id[:128]}' in this collection")
        return found

    def list(self, collection: Collection, query: ListQuery, *, vectors: bool) -> Page[Document]:
        """A page of the collection's documents."""
        projection = None if vectors else WITHOUT_VECTORS
        return list_page(self._documents, _scope(collection), query, FIELDS, projection)

    def count(self, collection: Collection, filters: object) -> int:
        """How many documents of the collection the filters select."""
        condition = joined([_scope(collection), compile_filters(filters, FIELDS)])
        with explained():
            return count(self._documents, condition)

    def counts(self, collection_ids: Iterable[str]) -> dict[str, int]:
        """How many documents each collection has; those without any are left out."""
        grouped = self._documents.aggregate(
            [
                {"$match": {"collection_id": {"$in": list(collection_ids)}}},
                {"$group": {"_id": "$collection_id", "count": {"$sum": 1}}},
            ]
        )
        return {row["_id"]: row["count"] for row in grouped}

    def aggregate(
        self, collection: Collection, aggregation: Aggregation, filters: object
    ) -> tuple[Sequence[Group], int]:
        """The first groups, and how many there are in all."""
        condition = joined([_scope(collection), compile_filters(filters, FIELDS)])
        pipeline = [{"$match": condition}, *aggregation.stages(FIELDS)]
        with explained():
            (found,) = self._documents.aggregate(pipeline, maxTimeMS=TIME_LIMIT_MS)
        total = found["total"][0]["count"] if found["total"] else 0
        return [aggregation.group(row) for row in found["groups"]], total


def to_json(stored: Document) -> JsonObject:
    """The document as users read it; vectors are lists of numbers, and there when asked for."""
    shown: JsonObject = {
        "document_id": stored["_id"],
        "collection_id": stored["collection_id"],
        "namespace_id": stored["namespace_id"],
        "bucket_id": stored["bucket_id"],
        "object_id": stored["object_id"],
        "batch_id": stored.get("batch_id"),
        "task_id": stored["task_id"],
        "fields": stored["fields"],
        "metadata": stored["metadata"],
        "created_at": rfc3339(stored["created_at"]),
        "updated_at": rfc3339(stored["updated_at"]),
    }
    if stored.get("taxonomies"):
        shown["taxonomies"] = {
            taxonomy_id: {**entry, "assigned_at": rfc3339(entry["assigned_at"])}
            for taxonomy_id, entry in stored["taxonomies"].items()
        }
    if "origin" in stored:
        shown["origin"] = stored["origin"]
    if "vectors" in stored:
        shown["vectors"] = {name: _numbers(vector) for name, vector in stored["vectors"].items()}
    return shown


def _numbers(vector: Binary) -> list[float]:
    return [float(number) for number in vector.as_vector().data]


def _scope(collection: Collection) -> Document:
    return {"collection_id": collection.collection_id, "namespace_id": collection.namespace_id}
