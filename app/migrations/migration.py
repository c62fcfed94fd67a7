"""Migrations: what they are asked to do, what they have planned, and how they ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from app.database import Document
from app.identity import derived_id
from app.migrations.config import MigrationConfig
from app.migrations.idmap import IdMap
from app.migrations.plan import Plan
from app.receipts.receipt import JsonObject
from app.receipts.status import TaskStatusEnum

RUN_TYPE: Final = "api_namespaces_migrations_run"
ROLLBACK_TYPE: Final = "api_namespaces_migrations_rollback"


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration.

    `plan` is None until a run has begun; `report` until one came to its end. The namespace that
    the row belongs to is the source. `rollback_task_id` names the latest rollback, and
    `rolled_back_at` says that one has ended.
    """

    migration_id: str
    namespace_id: str
    target_id: str
    config: MigrationConfig
    status: TaskStatusEnum
    task_id: str | None
    earlier_task_ids: list[str]
    outcome: JsonObject | None
    validation: JsonObject
    graph: JsonObject
    plan: Plan | None
    report: JsonObject | None
    rollback_task_id: str | None
    rolled_back_at: datetime | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document."""
        fields = {name: value for name, value in stored.items() if name != "_id"}
        fields["config"] = MigrationConfig.from_document(fields["config"])
        fields["status"] = TaskStatusEnum(fields["status"])
        plan = fields["plan"]
        fields["plan"] = None if plan is None else Plan.from_document(plan)
        return cls(migration_id=stored["_id"], **fields)

    @property
    def ids(self) -> IdMap:
        """The ids that things get in the target."""
        return IdMap(self.migration_id, self.target_id)

    @property
    def makes_namespace(self) -> bool:
        """Whether the target is there only once the migration has completed."""
        return self.config.target_namespace_id is None

    @property
    def has_written(self) -> bool:
        """Whether rows may lie in the target that nobody sees."""
        return self.plan is not None and not self.config.dry_run and self.rolled_back_at is None

    @property
    def has_leftovers(self) -> bool:
        """Whether what lies under its ids is nobody's: a run that completed left a report."""
        return self.has_written and self.report is None


def new_target_id(migration_id: str) -> str:
    """The id of the namespace that the migration will make."""
    return derived_id("ns", like=migration_id, key=f"{migration_id}:namespace")
