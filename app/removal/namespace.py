"""Deleting a namespace: with everything in it but its receipts, which live out their retention."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.migrations.migration import Migration
from app.migrations.removal import leftovers
from app.migrations.store import MigrationStore
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.removal import bucket
from app.resources.launch import launch
from app.resources.namespace import DEFAULT_NAME, Namespace, NamespaceStore
from app.resources.removal import Range, ids_of

TASK_TYPE: Final = "api_namespaces_delete"

# What is found by its owner, and the key that it has of it.
OF_COLLECTION: Final = (("documents", "collection_id"),)
OF_CLUSTER: Final = (("cluster_runs", "cluster_id"),)
OF_RUN: Final = (
    ("cluster_members", "run_id"),
    ("cluster_groups", "run_id"),
    ("cluster_parts", "run_id"),
)
OF_NAMESPACE: Final = (
    "webhooks",  # their log lives out its retention
    "callback_secrets",
    "migrations",
    "follow_ups",
    "materializations",
    "taxonomies",
    "clusters",
    "collections",
    "buckets",
)


def delete_namespace(
    namespaces: NamespaceStore,
    migrations: MigrationStore,
    ledger: Ledger,
    *,
    namespace: Namespace,
    task: NewTask,
) -> Receipt:
    """The task that deletes what is in the namespace, which itself is gone with this call.

    `AlreadyExistsError` for the default namespace, and while a task of the namespace has not
    ended, or a migration into it; `NotFoundError` where somebody else deleted it meanwhile.
    """
    name = namespace.namespace_name
    if name == DEFAULT_NAME:
        raise AlreadyExistsError("The default namespace cannot be deleted")
    if (open_id := ledger.receipts.any_open(namespace.namespace_id)) is not None:
        raise AlreadyExistsError(
            f"The task '{open_id}' of the namespace '{name}' has not ended: kill it, or wait for it"
        )

    if rivals := migrations.rivals(namespace.namespace_id, None, None):
        raise AlreadyExistsError(
            f"The migration '{rivals[0]}' into the namespace '{name}' has not ended: cancel it, or "
            "wait for it"
        )

    def start(_: Document, session: ClientSession) -> bool:
        return namespaces.remove(namespace, session)

    receipt = launch(ledger, task, start)
    if receipt is None:
        raise NotFoundError(f"There is no namespace '{name}'")
    return receipt


def contents(database: Database[Document], namespace_id: str) -> Iterator[Range]:
    """What lies in a namespace, each thing before what it is found by."""

    ids = partial(ids_of, database)
    scope = {"namespace_id": namespace_id}
    for migration_id in ids("migrations", {"$or": [scope, {"target_id": namespace_id}]}):
        row = database["migrations"].find_one({"_id": migration_id})
        migration = None if row is None else Migration.from_document(row)
        if migration is not None and migration.has_leftovers:
            yield from leftovers(migration)
    for bucket_id in ids("buckets", scope):
        yield from bucket.contents(database, bucket_id, namespace_id=namespace_id)
    for collection_id in ids("collections", scope):
        yield from (Range(rows, {key: collection_id}) for rows, key in OF_COLLECTION)
    for cluster_id in ids("clusters", scope):
        for run_id in ids("cluster_runs", {"cluster_id": cluster_id}):
            yield from (Range(rows, {key: run_id}) for rows, key in OF_RUN)
        yield from (Range(rows, {key: cluster_id}) for rows, key in OF_CLUSTER)
    yield from (Range(rows, scope) for rows in OF_NAMESPACE)
