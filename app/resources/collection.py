"""Collections: what an extractor makes of the objects of some buckets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.events.event import Event
from app.events.insertion import insert_told
from app.events.outbox import OutboxStore
from app.events.resource import Kind as Told
from app.events.resource import Thing, change, creation, deletion
from app.identity import new_id
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.application import (
    NO_APPLICATIONS,
    Applications,
    ClusterApplication,
    TaxonomyApplication,
)
from app.resources.document_schema import DocumentSchema

COLLECTION: Final = "collections"

FIELDS: Final = FieldSet(
    {
        "collection_id": Field("_id"),
        "collection_name": Field("collection_name", sortable=True, nullable=False),
        "description": Field("description"),
        "bucket_ids": Field("source.bucket_ids"),
        "feature_extractor_name": Field("feature_extractor.feature_extractor_name"),
        "status": Field("status", choices=tuple(TaskStatusEnum)),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
    prefixes={"metadata": "metadata"},
    searchable=("collection_name", "description"),
)

_NEWEST_FIRST: Final = (("created_at", DESCENDING), ("_id", DESCENDING))
_NAMESPACE: Final = ("namespace_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_NAMESPACE, ("collection_name", ASCENDING)], unique=True),
    IndexModel([_NAMESPACE, *_NEWEST_FIRST]),
    IndexModel([_NAMESPACE, ("source.bucket_ids", ASCENDING)]),
]


@dataclass(frozen=True, slots=True)
class FeatureExtractor:
    """Which extractor, how it is set, and which property each of its inputs reads."""

    name: str
    version: str
    parameters: JsonObject
    input_mappings: JsonObject

    def to_json(self) -> JsonObject:
        return {
            "feature_extractor_id": f"{self.name}_{self.version}",
            "feature_extractor_name": self.name,
            "version": self.version,
            "parameters": self.parameters,
            "input_mappings": self.input_mappings,
        }


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What a request says of a collection."""

    collection_name: str
    description: str | None
    bucket_ids: Sequence[str]
    feature_extractor: FeatureExtractor
    metadata: Mapping[str, object]
    applications: Applications = NO_APPLICATIONS


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection. `index_version` is another after each task that wrote documents."""

    collection_id: str
    namespace_id: str
    collection_name: str
    description: str | None
    bucket_ids: tuple[str, ...]
    feature_extractor: FeatureExtractor
    metadata: JsonObject
    applications: Applications
    index_version: int
    document_schema: DocumentSchema
    schema_version: int
    last_schema_sync: datetime | None
    status: TaskStatusEnum
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The stored document."""
        extractor = document["feature_extractor"]
        return cls(
            collection_id=document["_id"],
            namespace_id=document["namespace_id"],
            collection_name=document["collection_name"],
            description=document["description"],
            bucket_ids=tuple(document["source"]["bucket_ids"]),
            feature_extractor=FeatureExtractor(
                name=extractor["feature_extractor_name"],
                version=extractor["version"],
                parameters=extractor["parameters"],
                input_mappings=extractor["input_mappings"],
            ),
            metadata=document["metadata"],
            applications=applications_of(document),
            index_version=document.get("index_version", 0),
            document_schema=DocumentSchema.from_stored(document.get("document_schema", ())),
            schema_version=document["schema_version"],
            last_schema_sync=document["last_schema_sync"],
            status=TaskStatusEnum(document["status"]),
            created_at=document["created_at"],
            updated_at=document["updated_at"],
        )

    def to_json(self, document_count: int) -> JsonObject:
        return {
            "collection_id": self.collection_id,
            "namespace_id": self.namespace_id,
            "collection_name": self.collection_name,
            "description": self.description,
            "source": {"type": "bucket", "bucket_ids": list(self.bucket_ids)},
            # The public client's model of `parameters` knows none of ours: it reads `params`.
            "feature_extractor": {
                **self.feature_extractor.to_json(),
                "params": self.feature_extractor.parameters,
            },
            "metadata": self.metadata,
            "taxonomy_applications": [each.to_json() for each in self.applications.taxonomies],
            "cluster_applications": [each.to_json() for each in self.applications.clusters],
            "document_count": document_count,
            "document_schema": self.document_schema.to_json(),
            "schema_version": self.schema_version,
            "last_schema_sync": rfc3339(self.last_schema_sync),
            "status": self.status,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


class CollectionStore:
    """The collection `collections`; every call names the namespace it works in."""

    def __init__(self, database: Database[Document]) -> None:
        self._collections = database[COLLECTION]
        self._documents = database["documents"]
        self._outbox = OutboxStore(database)

    def ensure_indexes(self) -> None:
        """Makes names unique in their namespace and lists fast; safe to repeat."""
        self._collections.create_indexes(INDEXES)

    def create(self, namespace_id: str, new: NewCollection) -> Collection:
        """Stores a collection; `AlreadyExistsError` when the name is taken."""
        now = datetime.now(UTC)
        stored: Document = {
            "_id": new_id("col"),
            "namespace_id": namespace_id,
            "collection_name": new.collection_name,
            "description": new.description,
            "source": {"type": "bucket", "bucket_ids": list(new.bucket_ids)},
            "feature_extractor": new.feature_extractor.to_json(),
            "metadata": dict(new.metadata),
            **stored_applications(new.applications),
            "index_version": 0,
            "document_schema": [],
            "schema_version": 1,
            "last_schema_sync": None,
            "status": TaskStatusEnum.ACTIVE.value,
            "created_at": now,
            "updated_at": now,
        }
        try:
            event = creation(Thing.of_row(Told.COLLECTION, stored), now)
            stored = insert_told(self._outbox, self._collections, stored, event)
        except DuplicateKeyError as exc:
            name = new.collection_name
            raise AlreadyExistsError(f"There is already a collection named '{name}'") from exc
        return Collection.from_document(stored)

    def get(self, identifier: str, *, namespace_id: str) -> Collection:
        """The collection with this id or name, an id going before a name; or `NotFoundError`."""
        scope = {"namespace_id": namespace_id}
        stored = self._collections.find_one({"_id": identifier, **scope})
        stored = stored or self._collections.find_one({"collection_name": identifier, **scope})
        if stored is None:
            raise NotFoundError(f"There is no collection '{identifier[:128]}'")
        return Collection.from_document(stored)

    def reading(
        self, bucket_id: str, *, namespace_id: str, collection_ids: Sequence[str] | None = None
    ) -> list[Collection]:
        """The collections that read the bucket, in order of age; with ids, exactly those.

        `NotFoundError` names the ids that are no collections reading this bucket.
        """
        scope: Document = {"namespace_id": namespace_id, "source.bucket_ids": bucket_id}
        if collection_ids is not None:
            scope["_id"] = {"$in": list(collection_ids)}
        found = list(self._collections.find(scope).sort("_id", ASCENDING))
        unknown = sorted(set(collection_ids or ()) - {stored["_id"] for stored in found})
        if unknown:
            named = ", ".join(f"'{one[:64]}'" for one in unknown[:10])
            raise NotFoundError(f"There is no collection that reads this bucket: {named}")
        return [Collection.from_document(stored) for stored in found]

    def list(self, namespace_id: str, query: ListQuery) -> Page[Collection]:
        """A page of the namespace's collections."""
        scope = {"namespace_id": namespace_id}
        return list_page(self._collections, scope, query, FIELDS).map(Collection.from_document)

    def change(self, collection: Collection, changes: Mapping[str, object]) -> Collection:
        """Sets fields as they are stored; `NotFoundError` when it is gone."""
        at = datetime.now(UTC)

        def write(session: ClientSession) -> Document:
            stored = self._collections.find_one_and_update(
                _key(collection),
                {"$set": {**changes, "updated_at": at}},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if stored is None:
                raise NotFoundError(f"There is no collection '{collection.collection_id}'")
            return stored

        stored = self._outbox.telling(
            write, lambda stored: [change(Thing.of_row(Told.COLLECTION, stored), at)]
        )
        return Collection.from_document(stored)

    def move_on(self, collection_ids: Sequence[str], session: ClientSession) -> None:
        """Notes that their documents are not what they were; to be stored with a task's end."""
        ids = {"_id": {"$in": list(collection_ids)}}
        self._collections.update_many(ids, {"$inc": {"index_version": 1}}, session=session)

    def delete_empty(self, collection: Collection) -> None:
        """Deletes it; `AlreadyExistsError` while it holds documents."""
        held = {
            "collection_id": collection.collection_id,
            "namespace_id": collection.namespace_id,
        }

        def write(session: ClientSession) -> Document | None:
            if self._documents.find_one(held, {"_id": 1}, session=session):
                raise AlreadyExistsError(
                    f"The collection '{collection.collection_name}' still holds documents"
                )
            deleted: Document | None = self._collections.find_one_and_delete(
                _key(collection), session=session
            )
            return deleted

        self._outbox.telling(write, _deletions)


def _key(collection: Collection) -> Document:
    return {"_id": collection.collection_id, "namespace_id": collection.namespace_id}


def _deletions(deleted: Document | None) -> Sequence[Event]:
    if deleted is None:
        return []  # somebody else was first
    return [deletion(Thing.of_row(Told.COLLECTION, deleted), datetime.now(UTC))]


def applications_of(document: Document) -> Applications:
    """What runs after the batches of a stored collection; one of an earlier version has none."""
    return Applications(
        tuple(map(TaxonomyApplication.from_document, document.get("taxonomy_applications", ()))),
        tuple(map(ClusterApplication.from_document, document.get("cluster_applications", ()))),
    )


def stored_applications(applications: Applications) -> Document:
    """The same as a collection's document has it."""
    return {
        "taxonomy_applications": [each.to_document() for each in applications.taxonomies],
        "cluster_applications": [each.to_document() for each in applications.clusters],
    }
