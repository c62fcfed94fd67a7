"""Buckets: named sets of objects under one schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document, insert_once
from app.errors import AlreadyExistsError, NotFoundError
from app.identity import new_id
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.bucket_rule import unique_fields
from app.resources.schema import BucketSchema

FIELDS: Final = FieldSet(
    {
        "bucket_id": Field("_id"),
        "bucket_name": Field("bucket_name", sortable=True, nullable=False),
        "description": Field("description"),
        "status": Field("status", choices=tuple(TaskStatusEnum)),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
    prefixes={"metadata": "metadata"},
    searchable=("bucket_name", "description"),
)

_NEWEST_FIRST: Final = (("created_at", DESCENDING), ("_id", DESCENDING))
_NAMESPACE: Final = ("namespace_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_NAMESPACE, ("bucket_name", ASCENDING)], unique=True),
    IndexModel([_NAMESPACE, *_NEWEST_FIRST]),
]


@dataclass(frozen=True, slots=True)
class NewBucket:
    """What a request says of a bucket. `unique_key` is kept in the form it was sent in."""

    bucket_name: str
    description: str | None
    schema: BucketSchema
    unique_key: str | JsonObject | None
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket. `unique_fields` together are unique among its objects; often there are none."""

    bucket_id: str
    namespace_id: str
    bucket_name: str
    description: str | None
    schema: BucketSchema
    unique_key: str | JsonObject | None
    unique_fields: tuple[str, ...]
    metadata: JsonObject
    status: TaskStatusEnum
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The stored document."""
        return cls(
            bucket_id=document["_id"],
            namespace_id=document["namespace_id"],
            bucket_name=document["bucket_name"],
            description=document["description"],
            schema=BucketSchema.parse(document["bucket_schema"]),
            unique_key=document["unique_key"],
            unique_fields=unique_fields(document["unique_key"]),
            metadata=document["metadata"],
            status=TaskStatusEnum(document["status"]),
            created_at=document["created_at"],
            updated_at=document["updated_at"],
        )

    def to_json(self) -> JsonObject:
        return {
            "bucket_id": self.bucket_id,
            "namespace_id": self.namespace_id,
            "bucket_name": self.bucket_name,
            "description": self.description,
            "bucket_schema": self.schema.to_json(),
            "unique_key": self.unique_key,
            "metadata": self.metadata,
            "status": self.status,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


class BucketStore:
    """The collection `buckets`; every call names the namespace it works in."""

    def __init__(self, database: Database[Document]) -> None:
        self._buckets = database["buckets"]

    def ensure_indexes(self) -> None:
        """Makes names unique in their namespace and lists fast; safe to repeat."""
        self._buckets.create_indexes(INDEXES)

    def create(self, namespace_id: str, new: NewBucket) -> Bucket:
        """Stores a bucket; `AlreadyExistsError` when the name is taken."""
        now = datetime.now(UTC)
        stored: Document = {
            "_id": new_id("bkt"),
            "namespace_id": namespace_id,
            "bucket_name": new.bucket_name,
            "description": new.description,
            "bucket_schema": new.schema.to_json(),
            "unique_key": new.unique_key,
            "metadata": dict(new.metadata),
            "status": TaskStatusEnum.ACTIVE.value,
            "created_at": now,
            "updated_at": now,
        }
        try:
            stored = insert_once(self._buckets, stored)
        except DuplicateKeyError as exc:
            name = new.bucket_name
            raise AlreadyExistsError(f"There is already a bucket named '{name}'") from exc
        return Bucket.from_document(stored)

    def get(self, identifier: str, *, namespace_id: str) -> Bucket:
        """The bucket with this id or name, an id going before a name; or `NotFoundError`."""
        scope = {"namespace_id": namespace_id}
        stored = self._buckets.find_one({"_id": identifier, **scope})
        stored = stored or self._buckets.find_one({"bucket_name": identifier, **scope})
        if stored is None:
            raise NotFoundError(f"There is no bucket '{identifier[:128]}'")
        return Bucket.from_document(stored)

    def list(self, namespace_id: str, query: ListQuery) -> Page[Bucket]:
        """A page of the namespace's buckets."""
        scope = {"namespace_id": namespace_id}
        return list_page(self._buckets, scope, query, FIELDS).map(Bucket.from_document)

    def change(self, bucket: Bucket, changes: Mapping[str, object]) -> Bucket:
        """Sets description, metadata or bucket_schema; `NotFoundError` when it is gone."""
        stored = self._buckets.find_one_and_update(
            {"_id": bucket.bucket_id, "namespace_id": bucket.namespace_id},
            {"$set": {**changes, "updated_at": datetime.now(UTC)}},
            return_document=ReturnDocument.AFTER,
        )
        if stored is None:
            raise NotFoundError(f"There is no bucket '{bucket.bucket_id}'")
        return Bucket.from_document(stored)

    def hold(self, bucket_id: str, *, namespace_id: str, session: ClientSession) -> bool:
        """Has a removal that overlaps with this transaction begin anew; False where it is gone."""
        key = {"_id": bucket_id, "namespace_id": namespace_id}
        held = self._buckets.update_one(key, {"$inc": {"times_held": 1}}, session=session)
        return bool(held.matched_count)

    def remove(self, bucket: Bucket, session: ClientSession) -> bool:
        """Takes the bucket away, not what is in it; False where it is gone."""
        key = {"_id": bucket.bucket_id, "namespace_id": bucket.namespace_id}
        return bool(self._buckets.delete_one(key, session=session).deleted_count)
