"""Clusters: a way of grouping documents, and what its latest finished execution found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.clusters.definition import ClusterType, Definition
from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.events.insertion import insert_told
from app.events.outbox import OutboxStore
from app.events.resource import Kind as Told
from app.events.resource import Thing, change, creation
from app.identity import new_id
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.draft import this_moment
from app.receipts.receipt import JsonObject

COLLECTION: Final = "clusters"
TASK_TYPE: Final = "engine_cluster_build"

FIELDS: Final = FieldSet(
    {
        "cluster_id": Field("_id"),
        "cluster_name": Field("cluster_name", sortable=True, nullable=False),
        "description": Field("description"),
        "cluster_type": Field("cluster_type", choices=tuple(ClusterType)),
        "collection_ids": Field("collection_ids"),
        "algorithm": Field("vector_config.clustering_method"),
        "num_clusters": Field("last_run.num_clusters", Kind.NUMBER),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
    prefixes={"metadata": "metadata"},
    searchable=("cluster_name", "description"),
)

_NAMESPACE: Final = ("namespace_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_NAMESPACE, ("cluster_name", ASCENDING)], unique=True),
    IndexModel([_NAMESPACE, ("created_at", DESCENDING), ("_id", DESCENDING)]),
]


@dataclass(frozen=True, slots=True)
class NewCluster:
    """What a request says of a cluster, checked."""

    cluster_name: str
    description: str | None
    metadata: Mapping[str, object]
    definition: Definition


@dataclass(frozen=True, slots=True)
class LatestRun:
    """The newest finished execution."""

    run_id: str
    task_id: str
    num_clusters: int
    num_points: int
    metrics: JsonObject
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster. `newest_run_id` is of the newest execution, finished or not."""

    cluster_id: str
    namespace_id: str
    cluster_name: str
    description: str | None
    metadata: JsonObject
    definition: Definition
    newest_run_id: str | None
    latest: LatestRun | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document."""
        latest = stored["last_run"]
        return cls(
            cluster_id=stored["_id"],
            namespace_id=stored["namespace_id"],
            cluster_name=stored["cluster_name"],
            description=stored["description"],
            metadata=stored["metadata"],
            definition=Definition.from_document(stored),
            newest_run_id=stored["newest_run_id"],
            latest=None if latest is None else LatestRun(**latest),
            created_at=stored["created_at"],
            updated_at=stored["updated_at"],
        )


class ClusterStore:
    """The collection `clusters`; every name is its namespace's own."""

    def __init__(self, database: Database[Document]) -> None:
        self.outbox = OutboxStore(database)
        self._clusters = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Makes the indexes; safe to repeat."""
        self._clusters.create_indexes(INDEXES)

    def create(self, namespace_id: str, new: NewCluster) -> Cluster:
        """Stores a cluster; `AlreadyExistsError` when the name is taken."""
        at = this_moment()
        stored: Document = {
            "_id": new_id("clust"),
            "namespace_id": namespace_id,
            "cluster_name": new.cluster_name,
            "description": new.description,
            "metadata": dict(new.metadata),
            **new.definition.to_json(),
            "newest_run_id": None,
            "last_run": None,
            "created_at": at,
            "updated_at": at,
        }
        try:
            event = creation(Thing.of_row(Told.CLUSTER, stored), at)
            stored = insert_told(self.outbox, self._clusters, stored, event)
        except DuplicateKeyError as exc:
            raise _taken(new.cluster_name) from exc
        return Cluster.from_document(stored)

    def get(self, identifier: str, *, namespace_id: str) -> Cluster:
        """The cluster with this id or name, an id going before a name; or `NotFoundError`."""
        scope = {"namespace_id": namespace_id}
        stored = self._clusters.find_one({"_id": identifier, **scope})
        stored = stored or self._clusters.find_one({"cluster_name": identifier, **scope})
        if stored is None:
            raise _missing(identifier)
        return Cluster.from_document(stored)

    def list(self, namespace_id: str, query: ListQuery) -> Page[Cluster]:
        """A page of the namespace's clusters."""
        scope = {"namespace_id": namespace_id}
        return list_page(self._clusters, scope, query, FIELDS).map(Cluster.from_document)

    def change(self, cluster: Cluster, changes: Mapping[str, object]) -> Cluster:
        """Sets what is given, by the names of stored fields.

        `NotFoundError` when it is gone, `AlreadyExistsError` when a new name is taken.
        """
        at = this_moment()

        def write(session: ClientSession) -> Document:
            stored = self._clusters.find_one_and_update(
                {"_id": cluster.cluster_id, "namespace_id": cluster.namespace_id},
                {"$set": {**changes, "updated_at": at}},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if stored is None:
                raise _missing(cluster.cluster_id)
            return stored

        try:
            stored = self.outbox.telling(
                write, lambda stored: [change(Thing.of_row(Told.CLUSTER, stored), at)]
            )
        except DuplicateKeyError as exc:
            raise _taken(str(changes.get("cluster_name"))) from exc
        return Cluster.from_document(stored)

    def note_run(self, cluster: Cluster, run_id: str, session: ClientSession) -> bool:
        """Records its newest execution; False where the cluster is gone."""
        noted = self._clusters.update_one(
            {"_id": cluster.cluster_id},
            {"$set": {"newest_run_id": run_id}},
            session=session,
        )
        return bool(noted.matched_count)

    def note_result(
        self, cluster_id: str, latest: LatestRun, session: ClientSession | None = None
    ) -> None:
        """Makes it the latest finished one, unless a newer execution has finished before it."""
        older = [{"last_run": None}, {"last_run.run_id": {"$lt": latest.run_id}}]
        stored = {name: getattr(latest, name) for name in LatestRun.__dataclass_fields__}
        self._clusters.update_one(
            {"_id": cluster_id, "$or": older},
            {"$set": {"last_run": stored, "updated_at": latest.completed_at}},
            session=session,
        )

    def remove(self, cluster: Cluster, session: ClientSession) -> bool:
        """Deletes it, or False: it was executed meanwhile, or is gone."""
        removed = self._clusters.delete_one(
            {"_id": cluster.cluster_id, "newest_run_id": cluster.newest_run_id}, session=session
        )
        return bool(removed.deleted_count)


def _taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(f"There is already a cluster named '{name}'")


def _missing(identifier: str) -> NotFoundError:
    return NotFoundError(f"There is no cluster '{identifier[:128]}'")
