"""Migrations of namespaces."""

from typing import TypedDict

from waybill.types.json import JsonObject, Status


class MigrationFinding(TypedDict):
    """One thing in the way of a migration, or worth knowing."""

    error_code: str
    message: str
    resource_id: str | None
    resource_type: str | None
    severity: str


class MigrationValidation(TypedDict):
    """What a validation found, and how much would go along."""

    valid: bool
    errors: list[MigrationFinding]
    warnings: list[MigrationFinding]
    estimated_resources: dict[str, int]
    estimated_duration_seconds: int | None


class MigrationExamination(TypedDict):
    """A validation, and the resources that would go along in their order."""

    validation_result: MigrationValidation
    dependency_graph: JsonObject
    message: str


class MigrationStage(TypedDict):
    """How far one stage is."""

    stage: str
    status: Status
    started_at: str | None
    completed_at: str | None
    progress_percent: float
    items_total: int
    items_completed: int
    items_failed: int
    error_message: str | None


class MigrationProgress(TypedDict):
    """How far a migration is."""

    overall_status: Status
    overall_progress_percent: float
    current_stage: str | None
    stages: list[MigrationStage]
    resources: list[JsonObject]
    started_at: str | None
    estimated_completion: str | None
    eta_seconds: float | None


class MigrationRollback(TypedDict):
    """The latest rollback; nothing is left once `rolled_back_at` is set."""

    task_id: str
    status: Status
    error_message: str | None
    rolled_back_at: str | None


class Migration(TypedDict):
    """A migration; its status is its task's. `result` is there once a run came to its end."""

    migration_id: str
    internal_id: str
    namespace_id: str
    target_namespace_id: str
    config: JsonObject
    status: Status
    progress: MigrationProgress
    validation_result: MigrationValidation
    dependency_graph: JsonObject
    task_id: str | None
    earlier_task_ids: list[str]
    result: JsonObject | None
    rollback: MigrationRollback | None
    error_message: str | None
    error: str | None
    additional_data: JsonObject
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None


class StartedMigration(TypedDict):
    """The task that is at work for a migration."""

    migration_id: str
    status: Status
    task_id: str
    started_at: str
    message: str


class CanceledMigration(TypedDict):
    """A migration that was asked to end."""

    migration_id: str
    status: Status
    task_id: str | None
    cancelled_at: str
    message: str
