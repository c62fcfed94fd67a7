"""Namespaces: the tenants. Everything else belongs to exactly one."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
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
from app.receipts.quota import COLLECTION, DOOR_FIELDS, NO_QUOTA, Quota
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum

DEFAULT_NAME: Final = "default"
NOT_ITS_OWN: Final = frozenset({"_id", *DOOR_FIELDS})

FIELDS: Final = FieldSet(
    {
        "namespace_id": Field("_id"),
        "namespace_name": Field("namespace_name", sortable=True, nullable=False),
        "description": Field("description"),
        "status": Field("status", choices=tuple(TaskStatusEnum)),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
    prefixes={"metadata": "metadata"},
    searchable=("namespace_name", "description"),
)

INDEXES: Final = [
    IndexModel([("namespace_name", ASCENDING)], unique=True),
    IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("quotas.changed_at", DESCENDING)], sparse=True),
]


@dataclass(frozen=True, slots=True)
class Namespace:
    """One tenant."""

    namespace_id: str
    namespace_name: str
    description: str | None
    metadata: JsonObject
    status: TaskStatusEnum
    quotas: Quota
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The stored document."""
        fields = {key: value for key, value in document.items() if key not in NOT_ITS_OWN}
        fields["status"] = TaskStatusEnum(fields["status"])
        fields["quotas"] = Quota.from_document(document.get("quotas"), defaults=NO_QUOTA)
        return cls(namespace_id=document["_id"], **fields)

    def to_json(self) -> JsonObject:
        return {
            "namespace_id": self.namespace_id,
            "namespace_name": self.namespace_name,
            "description": self.description,
            "metadata": self.metadata,
            "status": self.status,
            "namespace_ready": True,
            "quotas": asdict(self.quotas),
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


class NamespaceStore:
    """The collection `namespaces`."""

    def __init__(self, database: Database[Document]) -> None:
        self._namespaces = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Makes names unique and lists fast; safe to repeat."""
        self._namespaces.create_indexes(INDEXES)

    def ensure_default(self) -> Namespace:
        """The namespace of requests without `X-Namespace`; safe to repeat and to race."""
        found = self.find(DEFAULT_NAME)
        if found is None:
            try:
                return self.create(DEFAULT_NAME, None, {})
            except AlreadyExistsError:
                found = self.find(DEFAULT_NAME)
        assert found is not None  # nobody deletes it
        return found

    def create(
        self, name: str, description: str | None, metadata: Mapping[str, object]
    ) -> Namespace:
        """Stores a namespace; `AlreadyExistsError` when the name is taken."""
        now = datetime.now(UTC)
        stored: Document = {
            "_id": new_id("ns"),
            "namespace_name": name,
            "description": description,
            "metadata": dict(metadata),
            "status": TaskStatusEnum.ACTIVE.value,
            "created_at": now,
            "updated_at": now,
        }
        try:
            stored = insert_once(self._namespaces, stored)
        except DuplicateKeyError as exc:
            raise AlreadyExistsError(f"There is already a namespace named '{name}'") from exc
        return Namespace.from_document(stored)

    def find(self, identifier: str) -> Namespace | None:
        """The namespace with this id or name; an id goes before a name."""
        stored = self._namespaces.find_one({"_id": identifier})
        stored = stored or self._namespaces.find_one({"namespace_name": identifier})
        return Namespace.from_document(stored) if stored else None

    def existing(self, namespace_ids: Collection[str]) -> frozenset[str]:
        """Those of these ids whose namespaces are there."""
        return frozenset(self._namespaces.distinct("_id", {"_id": {"$in": sorted(namespace_ids)}}))

    def list(self, scope: Collection[str] | None, query: ListQuery) -> Page[Namespace]:
        """A page of the namespaces among these ids, or of all with None."""
        within: Document = {} if scope is None else {"_id": {"$in": sorted(scope)}}
        return list_page(self._namespaces, within, query, FIELDS).map(Namespace.from_document)

    def change(self, namespace_id: str, changes: Mapping[str, object]) -> Namespace:
        """Sets description or metadata; `NotFoundError` when it is gone."""
        stored = self._namespaces.find_one_and_update(
            {"_id": namespace_id},
            {"$set": {**changes, "updated_at": datetime.now(UTC)}},
            return_document=ReturnDocument.AFTER,
        )
        if stored is None:
            raise NotFoundError(f"There is no namespace '{namespace_id}'")
        return Namespace.from_document(stored)

    def change_quota(self, namespace_id: str, changes: Mapping[str, int | None]) -> None:
        """Sets limits; None takes one away. `NotFoundError` when the namespace is gone."""
        limits = {f"quotas.{name}": limit for name, limit in changes.items()}
        changed = self._namespaces.update_one(
            {"_id": namespace_id},
            {"$set": limits, "$currentDate": {"quotas.changed_at": True, "updated_at": True}},
        )
        if not changed.matched_count:
            raise NotFoundError(f"There is no namespace '{namespace_id}'")

    def remove(self, namespace: Namespace, session: ClientSession) -> bool:
        """Takes the namespace away, not what is in it; False where it is gone."""
        key = {"_id": namespace.namespace_id}
        return bool(self._namespaces.delete_one(key, session=session).deleted_count)
