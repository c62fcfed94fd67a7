"""The indexes that there should be, and those that there are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pymongo import IndexModel
from pymongo.database import Database

from app.access import idempotency, key_store
from app.clusters import cluster, finding, run
from app.database import Document
from app.deliveries import log as delivery_log
from app.deliveries import mailbox, replay
from app.deliveries import store as delivery_store
from app.doctor.finding import Finding, fail, ok, warn
from app.events import outbox
from app.follow_up import follow_up
from app.migrations import store as migration_store
from app.receipts import index as receipt_index
from app.receipts import job_type, pulse
from app.resources import (
    batch,
    bucket,
    collection,
    document,
    extraction,
    namespace,
    stored_object,
)
from app.taxonomies import materialization, taxonomy
from app.webhooks import callback_secret, webhook

EXPECTED: Final[Mapping[str, Sequence[IndexModel]]] = {
    "tasks": receipt_index.INDEXES,
    "pulses": pulse.INDEXES,
    "job_types": job_type.INDEXES,
    "api_keys": key_store.INDEXES,
    "idempotency": idempotency.INDEXES,
    "namespaces": namespace.INDEXES,
    "buckets": bucket.INDEXES,
    "objects": stored_object.INDEXES,
    "collections": collection.INDEXES,
    "documents": document.INDEXES,
    "failed_documents": extraction.INDEXES,
    "batches": batch.INDEXES,
    taxonomy.COLLECTION: taxonomy.INDEXES,
    materialization.COLLECTION: materialization.INDEXES,
    cluster.COLLECTION: cluster.INDEXES,
    run.COLLECTION: run.INDEXES,
    finding.GROUPS: finding.GROUP_INDEXES,
    finding.MEMBERS: finding.MEMBER_INDEXES,
    finding.PARTS: finding.PART_INDEXES,
    "follow_ups": follow_up.INDEXES,
    migration_store.COLLECTION: migration_store.INDEXES,
    outbox.COLLECTION: outbox.INDEXES,
    webhook.COLLECTION: webhook.INDEXES,
    callback_secret.COLLECTION: callback_secret.INDEXES,
    mailbox.COLLECTION: mailbox.INDEXES,
    delivery_log.COLLECTION: [
        *delivery_store.INDEXES,
        *delivery_log.INDEXES,
        *replay.INDEXES,
    ],
}
OF_EVERY_COLLECTION: Final = "_id_"


def look_at_indexes(database: Database[Document]) -> Iterator[Finding]:
    """One finding on what is missing, one on what is there besides."""
    present = {
        f"{name}.{index}"
        for name in database.list_collection_names()
        for index in _of(database, name)
    }
    expected = {
        f"{name}.{index.document['name']}"
        for name, indexes in EXPECTED.items()
        for index in indexes
    }
    missing, surplus = sorted(expected - present), sorted(present - expected)
    if missing:
        yield fail(
            "mongodb.indexes",
            f"{_count(missing)} missing: {', '.join(missing)}",
            "start the API, which makes them",
        )
    if surplus:
        yield warn(
            "mongodb.indexes",
            f"{_count(surplus)} not of this version: {', '.join(surplus)}",
            "drop them once no process of an older version runs; each slows every write",
        )
    if not missing and not surplus:
        yield ok("mongodb.indexes", f"all {len(expected)} are there")


def _of(database: Database[Document], name: str) -> list[str]:
    if name.startswith("system."):
        return []
    found = database[name].index_information()
    return [index for index in found if index != OF_EVERY_COLLECTION]


def _count(names: Sequence[str]) -> str:
    return "1 is" if len(names) == 1 else f"{len(names)} are"
