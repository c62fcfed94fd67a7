"""Taxonomies and their versions: a version never changes, a new one is added."""

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
from app.events.resource import Thing, change, creation
from app.identity import new_id
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.draft import this_moment
from app.receipts.receipt import JsonObject, rfc3339
from app.taxonomies.config import Config, TaxonomyType

COLLECTION: Final = "taxonomies"
MAX_VERSIONS: Final = 100  # all in one document, each of some kilobytes

FIELDS: Final = FieldSet(
    {
        "taxonomy_id": Field("_id", nullable=False),
        "taxonomy_name": Field("taxonomy_name", sortable=True, nullable=False),
        "description": Field("description"),
        "taxonomy_type": Field("taxonomy_type", choices=tuple(TaxonomyType), nullable=False),
        "version": Field("version", Kind.NUMBER, nullable=False),
        "collection_ids": Field("collection_ids", nullable=False),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME, nullable=False),
    },
    prefixes={"metadata": "metadata"},
    searchable=("taxonomy_name", "description"),
)

_NAMESPACE: Final = ("namespace_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_NAMESPACE, ("taxonomy_name", ASCENDING)], unique=True),
    IndexModel([_NAMESPACE, ("created_at", DESCENDING), ("_id", DESCENDING)]),
]
# The newest version is the last one.
_NEWEST: Final = {"versions": {"$slice": -1}}


@dataclass(frozen=True, slots=True)
class NewTaxonomy:
    """What a request says of a taxonomy."""

    taxonomy_name: str
    description: str | None
    metadata: Mapping[str, object]
    config: Config


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """One taxonomy at one of its versions, by default the newest."""

    taxonomy_id: str
    namespace_id: str
    taxonomy_name: str
    description: str | None
    metadata: JsonObject
    version: int
    latest_version: int
    config: Config
    created_at: datetime
    updated_at: datetime
    version_created_at: datetime

    @classmethod
    def from_document(cls, document: Document, version: Document | None = None) -> Self:
        """The stored document at this one of its versions, the last where none is named."""
        version = version or document["versions"][-1]
        return cls(
            taxonomy_id=document["_id"],
            namespace_id=document["namespace_id"],
            taxonomy_name=document["taxonomy_name"],
            description=document["description"],
            metadata=document["metadata"],
            version=version["version"],
            latest_version=document["version"],
            config=Config.from_document(version["config"]),
            created_at=document["created_at"],
            updated_at=document["updated_at"],
            version_created_at=version["created_at"],
        )

    def to_json(self) -> JsonObject:
        said = self.config.said
        return {
            "taxonomy_id": self.taxonomy_id,
            "namespace_id": self.namespace_id,
            "taxonomy_name": self.taxonomy_name,
            "description": self.description,
            "metadata": self.metadata,
            "taxonomy_type": self.config.taxonomy_type.value,
            "version": self.version,
            "latest_version": self.latest_version,
            "config": said,
            "retriever_id": said["retriever_id"],
            "input_mappings": said["input_mappings"],
            "ready": True,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "version_created_at": rfc3339(self.version_created_at),
        }


class TaxonomyStore:
    """The collection `taxonomies`; every call names the namespace it works in."""

    def __init__(self, database: Database[Document]) -> None:
        self._taxonomies = database[COLLECTION]
        self._outbox = OutboxStore(database)

    def ensure_indexes(self) -> None:
        """Makes names unique in their namespace and lists fast; safe to repeat."""
        self._taxonomies.create_indexes(INDEXES)

    def create(self, namespace_id: str, new: NewTaxonomy) -> Taxonomy:
        """Stores version 1; `AlreadyExistsError` when the name is taken."""
        at = this_moment()
        stored: Document = {
            "_id": new_id("tax"),
            "namespace_id": namespace_id,
            "taxonomy_name": new.taxonomy_name,
            "description": new.description,
            "metadata": dict(new.metadata),
            **_latest(new.config, 1),
            "versions": [_version(new.config, new_id("taxv"), 1, at)],
            "created_at": at,
            "updated_at": at,
        }
        try:
            event = creation(Thing.of_row(Told.TAXONOMY, stored), at)
            stored = insert_told(self._outbox, self._taxonomies, stored, event)
        except DuplicateKeyError as exc:
            raise _taken(new.taxonomy_name) from exc
        return Taxonomy.from_document(stored)

    def get(self, identifier: str, *, namespace_id: str, version: int | None = None) -> Taxonomy:
        """The taxonomy with this id or name, an id going before a name; or `NotFoundError`.

        At the version, of which there has to be one, or at the newest.
        """
        kept = _NEWEST if version is None else {"versions": {"$elemMatch": {"version": version}}}
        stored = self._find(identifier, namespace_id, kept)
        if not stored.get("versions"):
            raise NotFoundError(f"The taxonomy '{identifier[:128]}' has no version {version}")
        return Taxonomy.from_document(stored)

    def versions(self, identifier: str, *, namespace_id: str) -> list[Taxonomy]:
        """The taxonomy at each of its versions, the newest first; or `NotFoundError`."""
        stored = self._find(identifier, namespace_id, None)
        return [Taxonomy.from_document(stored, each) for each in reversed(stored["versions"])]

    def list(self, namespace_id: str, query: ListQuery) -> Page[Taxonomy]:
        """A page of the namespace's taxonomies at their newest versions."""
        scope = {"namespace_id": namespace_id}
        page = list_page(self._taxonomies, scope, query, FIELDS, _NEWEST)
        return page.map(Taxonomy.from_document)

    def change(self, taxonomy: Taxonomy, changes: Mapping[str, object]) -> Taxonomy:
        """Sets name, description or metadata; `NotFoundError` when it is gone."""
        update = {"$set": {**changes, "updated_at": datetime.now(UTC)}}
        try:
            stored = self._update(_key(taxonomy), update)
        except DuplicateKeyError as exc:
            raise _taken(str(changes["taxonomy_name"])) from exc
        if stored is None:
            raise _gone(taxonomy.taxonomy_id)
        return Taxonomy.from_document(stored)

    def add_version(self, taxonomy: Taxonomy, config: Config) -> Taxonomy:
        """The taxonomy at a new version, the next one; an earlier run of the request finds its own.

        `AlreadyExistsError` where another was added meanwhile, or there are too many.
        """
        version_id, number, at = new_id("taxv"), taxonomy.latest_version + 1, this_moment()
        made = {"versions": {"$elemMatch": {"version_id": version_id}}}
        if found := self._taxonomies.find_one({**_key(taxonomy), **made}, made):
            return self.get(
                taxonomy.taxonomy_id,
                namespace_id=taxonomy.namespace_id,
                version=found["versions"][0]["version"],
            )
        if number > MAX_VERSIONS:
            raise AlreadyExistsError(f"The taxonomy has {MAX_VERSIONS} versions, as many as it may")
        stored = self._update(
            {**_key(taxonomy), "version": taxonomy.latest_version},
            {
                "$set": {**_latest(config, number), "updated_at": at},
                "$push": {"versions": _version(config, version_id, number, at)},
            },
            cause=version_id,
        )
        if stored is None:
            raise AlreadyExistsError("Another version was added meanwhile: look at it first")
        return Taxonomy.from_document(stored)

    def _update(
        self, key: Document, update: Document, *, cause: str | None = None
    ) -> Document | None:
        """The taxonomy as it is now, told of, or None: the key selects none."""

        def write(session: ClientSession) -> Document | None:
            stored: Document | None = self._taxonomies.find_one_and_update(
                key,
                update,
                projection=_NEWEST,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            return stored

        def events(stored: Document | None) -> Sequence[Event]:
            if stored is None:
                return []
            return [change(Thing.of_row(Told.TAXONOMY, stored), stored["updated_at"], cause=cause)]

        return self._outbox.telling(write, events)

    def _find(self, identifier: str, namespace_id: str, kept: Document | None) -> Document:
        scope = {"namespace_id": namespace_id}
        stored = self._taxonomies.find_one({"_id": identifier, **scope}, _beside(kept))
        stored = stored or self._taxonomies.find_one(
            {"taxonomy_name": identifier, **scope}, _beside(kept)
        )
        if stored is None:
            raise _gone(identifier)
        return stored


def _beside(kept: Document | None) -> Document | None:
    """The kept versions, and all other fields: `$elemMatch` alone leaves those out."""
    if kept is None or kept is _NEWEST:
        return kept
    return {**kept, **dict.fromkeys(_OTHERS, 1)}


_OTHERS: Final = (
    "namespace_id",
    "taxonomy_name",
    "description",
    "metadata",
    "version",
    "created_at",
    "updated_at",
)


def _key(taxonomy: Taxonomy) -> Document:
    return {"_id": taxonomy.taxonomy_id, "namespace_id": taxonomy.namespace_id}


def _latest(config: Config, number: int) -> Document:
    """What lists are filtered by."""
    return {
        "version": number,
        "taxonomy_type": config.taxonomy_type.value,
        "collection_ids": [each.collection_id for each in config.sources],
    }


def _version(config: Config, version_id: str, number: int, at: datetime) -> Document:
    return {
        "version_id": version_id,
        "version": number,
        "config": config.to_document(),
        "created_at": at,
    }


def _taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(f"There is already a taxonomy named '{name}'")


def _gone(identifier: str) -> NotFoundError:
    return NotFoundError(f"There is no taxonomy '{identifier[:128]}'")
