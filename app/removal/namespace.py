"""Deleting a namespace: with everything in it but its receipts, which live out their retention."""

from collections.abc import Iterator
from typing import Final

from pymongo import ASCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.removal import bucket
from app.resources.launch import launch
from app.resources.namespace import DEFAULT_NAME, Namespace, NamespaceStore
from app.resources.removal import Range

TASK_TYPE: Final = "api_namespaces_delete"

# What is found by its owner, and the key that it has of it.
OF_COLLECTION: Final = (("documents", "collection_id"), ("follow_ups", "collection_id"))
OF_CLUSTER: Final = (("cluster_runs", "cluster_id"),)
OF_RUN: Final = (
    ("cluster_members", "run_id"),
    ("cluster_groups", "run_id"),
    ("cluster_parts", "run_id"),
)
OF_NAMESPACE: Final = ("materializations", "taxonomies", "clusters", "collections", "buckets")


def delete_namespace(
    namespaces: NamespaceStore, ledger: Ledger, *, namespace: Namespace, task: NewTask
) -> Receipt:
    """The task that deletes what is in the namespace, which itself is gone with this call.

    `AlreadyExistsError` for the default namespace, and while a task of the namespace has not
    ended; `NotFoundError` where somebody else deleted it meanwhile.
    """
    name = namespace.namespace_name
    if name == DEFAULT_NAME:
        raise AlreadyExistsError("The default namespace cannot be deleted")
    if (open_id := ledger.receipts.any_open(namespace.namespace_id)) is not None:
        raise AlreadyExistsError(
            f"The task '{open_id}' of the namespace '{name}' has not ended: kill it, or wait for it"
        )

    def start(_: Document, session: ClientSession) -> bool:
        return namespaces.remove(namespace, session)

    receipt = launch(ledger, task, start)
    if receipt is None:
        raise NotFoundError(f"There is no namespace '{name}'")
    return receipt


def contents(database: Database[Document], namespace_id: str) -> Iterator[Range]:
    """What lies in a namespace, each thing before what it is found by."""

    def ids(rows: str, condition: Document) -> Iterator[str]:
        for row in database[rows].find(condition, {"_id": 1}).sort("_id", ASCENDING):
            yield row["_id"]

    scope = {"namespace_id": namespace_id}
    for bucket_id in ids("buckets", scope):
        yield from bucket.contents(database, bucket_id, namespace_id=namespace_id)
    for collection_id in ids("collections", scope):
        yield from (Range(rows, {key: collection_id}) for rows, key in OF_COLLECTION)
    for cluster_id in ids("clusters", scope):
        for run_id in ids("cluster_runs", {"cluster_id": cluster_id}):
            yield from (Range(rows, {key: run_id}) for rows, key in OF_RUN)
        yield from (Range(rows, {key: cluster_id}) for rows, key in OF_CLUSTER)
    yield from (Range(rows, scope) for rows in OF_NAMESPACE)
