"""The events that there are; `*` stands for all of them."""

from enum import StrEnum
from typing import Final

EVERY: Final = "*"


class EventType(StrEnum):
    """What happened to what. The names are those of the contract, `task.skipped` aside."""

    OBJECT_CREATED = "object.created"
    OBJECT_UPDATED = "object.updated"
    OBJECT_DELETED = "object.deleted"
    OBJECTS_CREATED = "objects.created.batch"
    COLLECTION_CREATED = "collection.created"
    COLLECTION_UPDATED = "collection.updated"
    COLLECTION_DELETED = "collection.deleted"
    DOCUMENTS_WRITTEN = "collection.documents.written"
    CLUSTER_CREATED = "cluster.created"
    CLUSTER_UPDATED = "cluster.updated"
    CLUSTER_DELETED = "cluster.deleted"
    EXECUTION_STARTED = "cluster.execution.started"
    EXECUTION_COMPLETED = "cluster.execution.completed"
    EXECUTION_FAILED = "cluster.execution.failed"
    TAXONOMY_CREATED = "taxonomy.created"
    TAXONOMY_UPDATED = "taxonomy.updated"
    TAXONOMY_DELETED = "taxonomy.deleted"
    TAXONOMY_MATERIALIZED = "taxonomy.materialized"
    MIGRATION_COMPLETED = "migration.completed"
    MIGRATION_FAILED = "migration.failed"
    TASK_CREATED = "task.created"
    TASK_STARTED = "task.started"
    TASK_COMPLETED = "task.completed"
    TASK_FAILED = "task.failed"
    TASK_CANCELED = "task.canceled"
    TASK_SKIPPED = "task.skipped"
    ENDPOINT_DISABLED = "endpoint.disabled"
    TEST = "webhook.test"  # what a person asks for to try an endpoint; nobody subscribes to it


SUBSCRIBABLE: Final = tuple(kind for kind in EventType if kind is not EventType.TEST)
