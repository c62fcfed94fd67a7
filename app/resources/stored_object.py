"""Objects: what users put into buckets."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import bson
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.events.event import Event
from app.events.insertion import insert_told
from app.events.outbox import OutboxStore
from app.events.resource import Thing, creation, creation_of_many, deletion
from app.identity import repeated_seed
from app.query.condition import compile_filters, joined
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.bucket import Bucket

# Contents can be megabytes each: only the read of one object carries them.
WITHOUT_CONTENT: Final = {"blobs.data": 0}
# A transaction is held in memory until it ends, and too large a one is refused.
TRANSACTION_BYTES: Final = 4 * 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class Sifted:
    """Of objects to be: those that are stored now, and the positions of those that clash."""

    new: list[Document]
    taken: set[int]


class ObjectStore:
    """The collection `objects`; an object is validated before it comes here.

    A document is `{_id, namespace_id, bucket_id, key_prefix, blobs, size_bytes, metadata, fields,
    unique_key?, created_at, updated_at}`, a blob `{blob_id, property, type, data or url,
    size_bytes, metadata}`, where the data of an image are bytes.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._objects = database["objects"]
        self._outbox = OutboxStore(database)

    def ensure_indexes(self) -> None:
        """Makes unique keys unique in their bucket and lists fast; safe to repeat."""
        self._objects.create_indexes(INDEXES)

    def insert(self, bucket: Bucket, stored: Document) -> Document:
        """Stores one object; `AlreadyExistsError` when its unique key is taken."""
        event = creation(Thing.of_object(stored), stored["created_at"])
        try:
            return insert_told(self._outbox, self._objects, stored, event)
        except DuplicateKeyError as exc:
            raise taken(bucket) from exc

    def insert_many(self, stored: Sequence[Document]) -> set[int]:
        """Stores what it can and returns the positions of those whose unique key is taken.

        All are of one bucket. A transaction stores them with one event of all, or, of many
        megabytes, some transactions with an event each.
        """
        taken: set[int] = set()
        for part in parts(stored, most_bytes=TRANSACTION_BYTES):
            taken |= self._insert_part(stored, part)
        return taken

    def _insert_part(self, stored: Sequence[Document], part: Sequence[int]) -> set[int]:
        def write(session: ClientSession) -> Sifted:
            sifted = self._sifted(stored, part, session)
            if sifted.new:
                self._objects.insert_many(sifted.new, session=session)
            return sifted

        def events(sifted: Sifted) -> Sequence[Event]:
            new = sifted.new
            return [creation_of_many(new, new[0]["created_at"])] if new else []

        return self._outbox.telling(write, events).taken

    def _sifted(
        self, stored: Sequence[Document], part: Sequence[int], session: ClientSession
    ) -> "Sifted":
        """What of a part is new, and whose unique key is taken.

        A clash would end the transaction, so it looks first. Who takes a key at the same moment
        changes what this transaction has read, and MongoDB has it begin again.
        """
        there = self._there([stored[position] for position in part], session)
        held = set(there.values()) - {None}
        taken: set[int] = set()
        new: list[Document] = []
        for position in part:
            row = stored[position]
            if row["_id"] in there:
                continue  # by an earlier run of the same request
            if row.get("unique_key") in held:
                taken.add(position)
                continue
            if "unique_key" in row:
                held.add(row["unique_key"])
            new.append(row)
        return Sifted(new, taken)

    def _there(self, stored: Sequence[Document], session: ClientSession) -> dict[str, str | None]:
        """What is stored under their ids or unique keys: the key, where it has one, by id."""
        keys = [row["unique_key"] for row in stored if "unique_key" in row]
        either: list[Document] = []
        if keys:
            either.append({"bucket_id": stored[0]["bucket_id"], "unique_key": {"$in": keys}})
        if repeated_seed() is not None:  # any other id is new
            either.append({"_id": {"$in": [row["_id"] for row in stored]}})
        if not either:
            return {}
        found = self._objects.find({"$or": either}, {"unique_key": 1}, session=session)
        return {row["_id"]: row.get("unique_key") for row in found}

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
        key = {"_id": object_id, **_scope(bucket)}

        def write(session: ClientSession) -> None:
            if not self._objects.delete_one(key, session=session).deleted_count:
                raise _missing(object_id)

        event = deletion(Thing.of_object(key), datetime.now(UTC))
        self._outbox.telling(write, lambda _: [event])

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


def parts(stored: Sequence[Document], *, most_bytes: int) -> Iterator[list[int]]:
    """Their positions in order, in parts of so many bytes; one alone may have more."""
    part: list[int] = []
    held_bytes = 0
    for position, row in enumerate(stored):
        size_bytes = len(bson.encode(row))
        if part and held_bytes + size_bytes > most_bytes:
            yield part
            part, held_bytes = [], 0
        part.append(position)
        held_bytes += size_bytes
    if part:
        yield part


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
