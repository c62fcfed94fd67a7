"""Migrations as answers have them."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.migrations.config import MigrationType
from app.migrations.finding import Severity
from app.migrations.resource import ResourceType
from app.migrations.stage import Stage
from app.receipts.status import TaskStatusEnum

Count = Annotated[int, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
# The public client alone, known by its User-Agent, gets its own words.
Status = (
    TaskStatusEnum | Literal["draft", "pending", "in_progress", "completed", "failed", "cancelled"]
)

GRAPH_EXAMPLE: Json = {
    "nodes": [
        {
            "resource_id": "bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "resource_type": "bucket",
            "name": "goods",
            "dependencies": [],
            "tier": 0,
        }
    ],
    "execution_order": ["bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
}
VALIDATION_EXAMPLE: Json = {
    "valid": True,
    "errors": [],
    "warnings": [],
    "estimated_resources": {
        "buckets": 1,
        "collections": 0,
        "taxonomies": 0,
        "clusters": 0,
        "objects": 1000,
        "object_bytes": 52000,
        "documents": 0,
    },
    "estimated_duration_seconds": None,
}
EXAMPLE: Json = {
    "migration_id": "mig_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "internal_id": "mig_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "target_namespace_id": "ns_0196b1c0a4e8a0d11b8a40c3f5e2d9a7",
    "config": {
        "migration_type": "copy",
        "source_namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "target_namespace_id": None,
        "target_namespace_name": "shop-2",
        "feature_extractors": [],
        "filters": {
            "collection_ids": None,
            "taxonomy_ids": None,
            "cluster_ids": None,
            "auto_include_dependencies": True,
        },
        "batch_options": {"batch_size": 100},
        "preserve_resource_ids": False,
        "dry_run": False,
        "webhook_url": None,
    },
    "status": "PROCESSING",
    "progress": {
        "overall_status": "PROCESSING",
        "overall_progress_percent": 31.98,
        "current_stage": "batch_creation",
        "stages": [
            {
                "stage": "batch_creation",
                "status": "PROCESSING",
                "started_at": "2026-01-31T12:00:01.000Z",
                "completed_at": None,
                "progress_percent": 64.0,
                "items_total": 1000,
                "items_completed": 640,
                "items_failed": 0,
                "error_message": None,
            }
        ],
        "resources": [
            {
                "resource_id": "bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
                "resource_type": "bucket",
                "name": "goods",
                "status": "PROCESSING",
                "progress_percent": 64.0,
                "error_message": None,
            }
        ],
        "started_at": "2026-01-31T12:00:00.500Z",
        "estimated_completion": None,
        "eta_seconds": 3.9,
    },
    "validation_result": VALIDATION_EXAMPLE,
    "dependency_graph": GRAPH_EXAMPLE,
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "earlier_task_ids": [],
    "result": None,
    "rollback": None,
    "error_message": None,
    "error": None,
    "additional_data": {},
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:07.000Z",
    "started_at": "2026-01-31T12:00:00.500Z",
    "completed_at": None,
}
STARTED_EXAMPLE: Json = {
    "migration_id": "mig_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "status": "PENDING",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "started_at": "2026-01-31T12:00:00.500Z",
    "message": "The migration waits for a worker",
}


class MigrationReplacement(Answer):
    """An extractor that collections of the target get."""

    feature_extractor_name: str
    version: str | None
    parameters: Json
    input_mappings: Json | None
    collection_ids: list[str] | None


class MigrationFilters(Answer):
    """Which resources go along; null names none of that kind."""

    collection_ids: list[str] | None
    taxonomy_ids: list[str] | None
    cluster_ids: list[str] | None
    auto_include_dependencies: bool


class MigrationBatchOptions(Answer):
    """How many rows are written at once."""

    batch_size: int


class MigrationSettings(Answer):
    """What was asked for; `target_namespace_id` is null where the target is made."""

    migration_type: MigrationType
    source_namespace_id: str
    target_namespace_id: str | None
    target_namespace_name: str | None
    feature_extractors: list[MigrationReplacement]
    filters: MigrationFilters
    batch_options: MigrationBatchOptions
    preserve_resource_ids: Literal[False]
    dry_run: bool
    webhook_url: str | None


class MigrationFinding(Answer):
    """One thing in the way of a migration, or worth knowing."""

    error_code: str
    message: str
    resource_id: str | None
    resource_type: ResourceType | None
    severity: Severity


class MigrationValidation(Answer):
    """What a validation found, and how much would go along."""

    valid: bool
    errors: list[MigrationFinding]
    warnings: list[MigrationFinding]
    estimated_resources: dict[str, int]
    estimated_duration_seconds: int | None


class MigrationNode(Answer):
    """One resource that goes along; its tier is above those of its dependencies."""

    resource_id: str
    resource_type: ResourceType
    name: str
    dependencies: list[str]
    tier: Count


class MigrationGraph(Answer):
    """The resources in the order in which they build on each other."""

    nodes: list[MigrationNode]
    execution_order: list[str]


class MigrationStage(Answer):
    """How far one stage is."""

    stage: Stage
    status: Status
    started_at: Time | None
    completed_at: Time | None
    progress_percent: Percent
    items_total: Count
    items_completed: Count
    items_failed: Count
    error_message: str | None


class MigrationResource(Answer):
    """How far one resource is."""

    resource_id: str
    resource_type: ResourceType
    name: str
    status: Status
    progress_percent: Percent
    error_message: str | None


class MigrationProgress(Answer):
    """How far a migration is; stages are there once it has begun."""

    overall_status: Status
    overall_progress_percent: Percent
    current_stage: Stage | None
    stages: list[MigrationStage]
    resources: list[MigrationResource]
    started_at: Time | None
    estimated_completion: Time | None
    eta_seconds: float | None


class MigrationRollback(Answer):
    """The latest rollback; nothing is left of the migration once `rolled_back_at` is set."""

    task_id: str
    status: Status
    error_message: str | None
    rolled_back_at: Time | None


class Migration(Answer):
    """One migration; its status is its task's. `result` is there once a run has come to its end."""

    model_config = example(EXAMPLE)

    migration_id: str
    internal_id: str
    namespace_id: str
    target_namespace_id: str
    config: MigrationSettings
    status: Status
    progress: MigrationProgress
    validation_result: MigrationValidation
    dependency_graph: MigrationGraph
    task_id: str | None
    earlier_task_ids: list[str]
    result: Json | None
    rollback: MigrationRollback | None
    error_message: str | None
    error: str | None
    additional_data: Json
    created_at: Time
    updated_at: Time
    started_at: Time | None
    completed_at: Time | None


class CreatedMigration(Migration):
    """A new migration, and where it stands in a sentence."""

    model_config = example({**EXAMPLE, "message": "The migration is a DRAFT: start it"})

    message: str


class MigrationPage(CountedPage[Migration]):
    """A page of migrations; the last three repeat what the rest says."""

    model_config = example(page_example(EXAMPLE, total_count=1, total=1, limit=100, offset=0))

    total: Count
    limit: Count
    offset: Count


class ValidatedMigration(Answer):
    """What such a migration would meet."""

    model_config = example(
        {
            "validation_result": VALIDATION_EXAMPLE,
            "dependency_graph": GRAPH_EXAMPLE,
            "message": "The migration can start",
        }
    )

    validation_result: MigrationValidation
    dependency_graph: MigrationGraph
    message: str


class StartedMigration(Answer):
    """The task that is at work for a migration."""

    model_config = example(STARTED_EXAMPLE)

    migration_id: str
    status: Status
    task_id: str
    started_at: Time
    message: str


class CanceledMigration(Answer):
    """A migration that was asked to end."""

    model_config = example(
        {
            "migration_id": "mig_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "status": "CANCELED",
            "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "cancelled_at": "2026-01-31T12:00:07.000Z",
            "message": "The migration was canceled; nothing of it is visible",
        }
    )

    migration_id: str
    status: Status
    task_id: str | None
    cancelled_at: Time
    message: str
