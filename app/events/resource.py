"""Events of what stands: collections, clusters, taxonomies, objects. Pure but for new ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from app.database import Document
from app.events.event import CacheScope, Event, Scope, Subject, event_id
from app.events.type import EventType
from app.identity import new_id
from app.receipts.receipt import JsonObject


class Kind(StrEnum):
    """What it is, as events name it."""

    OBJECT = "object"
    COLLECTION = "collection"
    CLUSTER = "cluster"
    TAXONOMY = "taxonomy"


# By the names of MongoDB's collections: what a migration opens and a removal deletes is told of.
STANDING: Final = {
    "collections": Kind.COLLECTION,
    "clusters": Kind.CLUSTER,
    "taxonomies": Kind.TAXONOMY,
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them, with what is told of it."""

    kind: Kind
    id: str
    namespace_id: str
    metadata: JsonObject

    @classmethod
    def named(cls, kind: Kind, own_id: str, name: str, *, namespace_id: str) -> Self:
        """A collection, cluster or taxonomy: its id and its name are told."""
        return cls(kind, own_id, namespace_id, {f"{kind}_id": own_id, f"{kind}_name": name})

    @classmethod
    def of_row(cls, kind: Kind, row: Document) -> Self:
        """The same of what is stored."""
        name = row[f"{kind}_name"]
        return cls.named(kind, row["_id"], name, namespace_id=row["namespace_id"])

    @classmethod
    def of_object(cls, row: Document) -> Self:
        """A stored object: its id and its bucket are told."""
        told: JsonObject = {"object_id": row["_id"], "bucket_id": row["bucket_id"]}
        return cls(Kind.OBJECT, row["_id"], row["namespace_id"], told)


def creation(thing: Thing, at: datetime) -> Event:
    """It is there; told once, however often the request is repeated."""
    return _event(thing, "created", at, cause=thing.id, like=thing.id)


def change(thing: Thing, at: datetime, *, cause: str | None = None) -> Event:
    """It is not as it was; `cause` is the id of what was added to it, if that has one."""
    cause = cause or new_id("chg")
    return _event(thing, "updated", at, cause=cause, like=cause)


def deletion(thing: Thing, at: datetime) -> Event:
    """It is gone."""
    return _event(thing, "deleted", at, cause=thing.id, like=new_id("chg"))


def creation_of_many(objects: Sequence[Document], at: datetime) -> Event:
    """What one request stored in a bucket at once, at least one object."""
    object_ids = [row["_id"] for row in objects]
    bucket_id = objects[0]["bucket_id"]
    kind = EventType.OBJECTS_CREATED
    return Event(
        event_id=event_id(kind, cause=",".join(object_ids), like=object_ids[0]),
        event_type=kind,
        occurred_at=at,
        namespace_id=objects[0]["namespace_id"],
        subject=Subject("bucket", bucket_id),
        metadata={"bucket_id": bucket_id, "object_ids": object_ids, "count": len(object_ids)},
        cache_scope=CacheScope(Scope.KEY, bucket_id),
    )


def _event(thing: Thing, what: str, at: datetime, *, cause: str, like: str) -> Event:
    kind = EventType(f"{thing.kind}.{what}")
    scope = Scope.COLLECTION if thing.kind is Kind.COLLECTION else Scope.KEY
    return Event(
        event_id=event_id(kind, cause=cause, like=like),
        event_type=kind,
        occurred_at=at,
        namespace_id=thing.namespace_id,
        subject=Subject(thing.kind.value, thing.id),
        metadata=thing.metadata,
        cache_scope=CacheScope(scope, thing.id),
    )
