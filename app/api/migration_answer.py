"""A migration as users read it: its own fields, and what its task's receipt says of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from app.api.migration_word import Word
from app.migrations.migration import Migration
from app.migrations.plan import Plan, Track
from app.migrations.stage import StageProgress, current
from app.receipts.receipt import JsonObject, Receipt, rfc3339
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.resources.settlement import status_of

MESSAGES: Final[Mapping[TaskStatusEnum, str]] = {
    TaskStatusEnum.DRAFT: "The migration is a DRAFT: start it",
    TaskStatusEnum.PENDING: "The migration waits for a worker",
    TaskStatusEnum.PROCESSING: "The migration is at work",
    TaskStatusEnum.SUSPENDED: "The migration is suspended: resume its task",
    TaskStatusEnum.COMPLETED: "The migration has completed",
    TaskStatusEnum.FAILED: "The migration has failed; nothing of it is visible",
    TaskStatusEnum.CANCELED: "The migration was canceled; nothing of it is visible",
}


def message_of(status: TaskStatusEnum) -> str:
    """Where a migration stands, in a sentence."""
    return MESSAGES.get(status, f"The migration is {status}")


def migration_json(
    migration: Migration, receipt: Receipt | None, rollback: Receipt | None, word: Word
) -> JsonObject:
    """The migration with its task's status; a receipt is None where there is none, or no more."""
    status = status_of(migration.status, receipt)
    error_message = _of_end(migration, receipt, "error_message")
    return {
        "migration_id": migration.migration_id,
        "internal_id": migration.migration_id,
        "namespace_id": migration.namespace_id,
        "target_namespace_id": migration.target_id,
        "config": migration.config.to_json(),
        "status": word(status),
        "progress": _progress(migration, receipt, status, word),
        "validation_result": migration.validation,
        "dependency_graph": migration.graph,
        "task_id": migration.task_id,
        "earlier_task_ids": migration.earlier_task_ids,
        "result": migration.report,
        "rollback": _rollback(migration, rollback, word),
        "error_message": error_message,
        "error": error_message,
        "additional_data": {},
        "created_at": rfc3339(migration.created_at),
        "updated_at": rfc3339(receipt.updated_at if receipt else migration.updated_at),
        "started_at": rfc3339(migration.started_at),
        "completed_at": _time(_of_end(migration, receipt, "ended_at")),
    }


def _of_end(migration: Migration, receipt: Receipt | None, name: str) -> object:
    """What the end of the task left under the name: in its receipt, or kept with the migration."""
    if receipt is not None:
        found: object = getattr(receipt, name)
        return found
    return (migration.outcome or {}).get(name)


def _time(moment: object) -> str | None:
    return rfc3339(moment) if isinstance(moment, datetime) else None


def _rollback(migration: Migration, receipt: Receipt | None, word: Word) -> JsonObject | None:
    if migration.rollback_task_id is None:
        return None
    done = TaskStatusEnum.COMPLETED if migration.rolled_back_at else TaskStatusEnum.UNKNOWN
    return {
        "task_id": migration.rollback_task_id,
        "status": word(status_of(done, receipt)),
        "error_message": receipt.error_message if receipt else None,
        "rolled_back_at": rfc3339(migration.rolled_back_at),
    }


def _progress(
    migration: Migration, receipt: Receipt | None, status: TaskStatusEnum, word: Word
) -> JsonObject:
    plan = migration.plan
    stages: Sequence[StageProgress] = plan.stages if plan else ()
    at_work = current(stages) if status not in TERMINAL else None
    return {
        "overall_status": word(status),
        "overall_progress_percent": _percent(plan, status),
        "current_stage": at_work,
        "stages": [_stage(each, status, word) for each in stages],
        "resources": _resources(plan, status, word) if plan else [],
        "started_at": rfc3339(migration.started_at),
        "estimated_completion": None,
        "eta_seconds": receipt.progress.eta_seconds if receipt and receipt.progress else None,
    }


def _percent(plan: Plan | None, status: TaskStatusEnum) -> float:
    if status is TaskStatusEnum.COMPLETED:
        return 100.0
    if plan is None or not plan.total:
        return 0.0
    return round(100.0 * plan.done / plan.total, 2)


def _stage(stage: StageProgress, status: TaskStatusEnum, word: Word) -> JsonObject:
    return {
        "stage": stage.stage.value,
        "status": word(_status_within(status, stage.started_at, stage.completed_at)),
        "started_at": rfc3339(stage.started_at),
        "completed_at": rfc3339(stage.completed_at),
        "progress_percent": stage.percent,
        "items_total": stage.items_total,
        "items_completed": stage.items_completed,
        "items_failed": stage.items_failed,
        "error_message": None,
    }


def _status_within(status: TaskStatusEnum, begun: object, completed: object) -> TaskStatusEnum:
    """The status of a part of something that has `status`; what has begun shares it."""
    if completed:
        return TaskStatusEnum.COMPLETED
    return status if begun else TaskStatusEnum.PENDING


def _resources(plan: Plan, status: TaskStatusEnum, word: Word) -> list[JsonObject]:
    tracks = {track.source_id: track for track in plan.tracks}
    shown: list[JsonObject] = []
    for each in plan.resources:
        percent = _track_percent(tracks.get(each.resource_id), status)
        shown.append(
            {
                "resource_id": each.resource_id,
                "resource_type": each.resource_type.value,
                "name": each.name,
                "status": word(_status_within(status, percent, percent >= 100.0)),
                "progress_percent": percent,
                "error_message": None,
            }
        )
    return shown


def _track_percent(track: Track | None, status: TaskStatusEnum) -> float:
    """How much of a resource's rows is written; a definition alone comes with the end."""
    if status is TaskStatusEnum.COMPLETED:
        return 100.0
    if track is None or not track.rows:
        return 0.0
    return min(100.0, round(100.0 * track.written / track.rows, 2))
