"""Objects: what users put into buckets."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from app.database import Document, insert_once, is_only_duplicates
from app.errors import AlreadyExistsError, NotFoundError
from app.query.condition import compile_filters, joined
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.bucket import Bucket

# Contents can be megabytes each: only the read of one object carries them.
WITHOUT_CONTENT: Final = {"blobs.data": 0}
BY_SIZE: Final = {"bucket_id": 1, "size_bytes": 1}

FIELDS: Final = FieldSet(
    {
        "object_id": Field("_id", sortable=True, nullable=False),
        "key_prefix": Field("key_prefix"),
        "size_bytes": Field("size_bytes", Kind.NUMBER),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
    prefixes={"metadata": "metadata"},
    others="fields",
)

_BUCKET: Final = ("bucket_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_BUCKET, ("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([_BUCKET, ("_id", ASCENDING)]),
    IndexModel(list(BY_SIZE.items())),
    IndexModel(
        [_BUCKET, ("unique_key", ASCENDING)],
        unique=True,
        partialFilterExpression={"unique_key": {"$exists": True}},
    ),
]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a bucket holds: objects, and bytes of their contents."""

    object_count: int = 0
    total_size_bytes: int = 0


class ObjectStore:
    """The collection `objects`; an object is validated before it comes here.

    A document is `{_id, namespace_id, bucket_id, key_prefix, blobs, size_bytes, metadata, fields,
    unique_key?, created_at, updated_at}`, a blob `{blob_id, property, type, data or url,
    size_bytes, metadata}`, where the data of an image are bytes.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._objects = database["objects"]

    def ensure_indexes(self) -> None:
        """Makes unique keys unique in their bucket and lists fast; safe to repeat."""
        self._objects.create_indexes(INDEXES)

    def insert(self, bucket: Bucket, stored: Document) -> Document:
        """Stores one object; `AlreadyExistsError` when its unique key is taken."""
        try:
            return insert_once(self._objects, stored)
        except DuplicateKeyError as exc:
            raise taken(bucket) from exc

    def insert_many(self, stored: Sequence[Document]) -> set[int]:
        """Stores what it can and returns the positions of those whose unique key is taken."""
        if not stored:
            return set()
        try:
            self._objects.insert_many(stored, ordered=False)
        except BulkWriteError as exc:
            if not is_only_duplicates(exc):
                raise
            errors = cast(list[Document], exc.details["writeErrors"])
            # A clash in the id alone is what an earlier run of the same request stored.
            return {error["index"] for error in errors if "_id" not in error["keyPattern"]}
        return set()

    def get(self, bucket: Bucket, object_id: str) -> Document:
        """The object with its contents, or `NotFoundError`."""
        found = self._objects.find_one({"_id": object_id, **_scope(bucket)})
        if found is None:
            raise _missing(object_id)
        return found

    def list(self, bucket: Bucket, query: ListQuery) -> Page[Document]:
        """A page of the bucket's objects, without the contents of their blobs."""
        return list_page(self._objects, _scope(bucket), query, FIELDS, WITHOUT_CONTENT)

    def matching(self, bucket: Bucket, filters: object) -> Iterator[str]:
        """The ids of the bucket's objects that the filters select, in order, streamed.

        `InvalidError` for what does not fit the fields, before the first id.
        """
        condition = joined([_scope(bucket), compile_filters(filters, FIELDS)])
        found = self._objects.find(condition, {"_id": 1}).sort("_id", ASCENDING)
        return (row["_id"] for row in found)

    def delete(self, bucket: Bucket, object_id: str) -> None:
        """Deletes the object; `NotFoundError` when it is not there."""
        if not self._objects.delete_one({"_id": object_id, **_scope(bucket)}).deleted_count:
            raise _missing(object_id)

    def usage(self, bucket_ids: Iterable[str]) -> dict[str, Usage]:
        """What each of the buckets holds; buckets without objects are left out."""
        grouped = self._objects.aggregate(
            hint=BY_SIZE,  # the one index that has it all, so that no object is read
            pipeline=[
                {"$match": {"bucket_id": {"$in": list(bucket_ids)}}},
                {
                    "$group": {
                        "_id": "$bucket_id",
                        "count": {"$sum": 1},
                        "size": {"$sum": "$size_bytes"},
                    }
                },
            ],
        )
        return {row["_id"]: Usage(row["count"], row["size"]) for row in grouped}


def to_json(stored: Document) -> JsonObject:
    """The object as users read it: the free fields stand at the top, as they were sent."""
    return {
        **stored["fields"],
        "object_id": stored["_id"],
        "bucket_id": stored["bucket_id"],
        "namespace_id": stored["namespace_id"],
        "key_prefix": stored["key_prefix"],
        "blobs": [_blob_json(blob) for blob in stored["blobs"]],
        "metadata": stored["metadata"],
        "status": TaskStatusEnum.ACTIVE,
        "created_at": rfc3339(stored["created_at"]),
        "updated_at": rfc3339(stored["updated_at"]),
    }


def without_content(stored: Document) -> Document:
    """The same object without the contents of its blobs, as lists have it."""
    blobs = [{k: v for k, v in blob.items() if k != "data"} for blob in stored["blobs"]]
    return {**stored, "blobs": blobs}


def taken(bucket: Bucket) -> AlreadyExistsError:
    """What a second object with the same unique key is told."""
    names = ", ".join(bucket.unique_fields)
    return AlreadyExistsError(f"The bucket already holds an object with this {names}")


def _blob_json(blob: Document) -> JsonObject:
    data = blob.get("data")
    if isinstance(data, bytes):
        return {**blob, "data": base64.b64encode(data).decode()}
    return blob


def _scope(bucket: Bucket) -> Document:
    return {"bucket_id": bucket.bucket_id, "namespace_id": bucket.namespace_id}


def _missing(object_id: str) -> NotFoundError:
    return NotFoundError(f"There is no object '{object_id[:128]}' in this bucket")
