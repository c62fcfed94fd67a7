"""Running migrations: start, cancel and roll back."""

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import Field

from app.access.key import ApiKey
from app.api.migration_access import (
    AdminKey,
    current_status,
    examiner,
    find_migration,
    receipt_of,
)
from app.api.migration_answer import message_of
from app.api.migration_body import StartMigration
from app.api.migration_word import Word, Worded
from app.api.shape import migration as shape
from app.errors import AlreadyExistsError, InvalidError, Problem
from app.http.answer import answers
from app.http.body import CREATED, Body, JsonObject
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.request_id import current_request_id
from app.identity import new_id
from app.migrations.finding import Validation
from app.migrations.migration import ROLLBACK_TYPE, RUN_TYPE, Migration
from app.receipts.receipt import NewTask, rfc3339
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.stores import Held, Stores

router = APIRouter(
    prefix="/v1/namespaces/migrations", tags=["migrations"], route_class=IdempotentRoute
)

MAX_REASON: Final = 1_000  # characters
UNFINISHED: Final = (TaskStatusEnum.FAILED, TaskStatusEnum.CANCELED, TaskStatusEnum.UNKNOWN)


class CancelMigration(Body):
    """Why the migration is to end."""

    model_config = example({"reason": "the wrong source"})

    reason: Annotated[str, Field(max_length=MAX_REASON)] | None = None


@router.post(
    "/{migration_id}/start",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(
        shape.StartedMigration, {409: "The migration has completed, or was rolled back."}
    ),
)
def start_migration(
    migration_id: str,
    key: AdminKey,
    stores: Held,
    word: Worded,
    body: StartMigration | None = None,
) -> JsonObject:
    """Starts a draft, or goes on with one that failed or was canceled, from its last checkpoint.

    One that is at work already is answered as it is.
    """
    return start(stores, find_migration(stores, key, migration_id), key, word)


@router.post("/{migration_id}/cancel", responses=answers(shape.CanceledMigration))
def cancel_migration(
    migration_id: str,
    key: AdminKey,
    stores: Held,
    word: Worded,
    body: CancelMigration | None = None,
) -> JsonObject:
    """Asks for the end of a migration. What it wrote stays out of sight until it is rolled back."""
    migration = find_migration(stores, key, migration_id)
    reason = body.reason if body else None
    receipt = receipt_of(stores, migration.task_id)
    if receipt is None and stores.migrations.cancel_draft(migration):
        migration = find_migration(stores, key, migration_id)
    elif receipt is not None and not receipt.is_terminal:
        receipt = stores.ledger.killer.kill(receipt.task_id, actor=key.actor, reason=reason)
    status = current_status(stores, migration)
    if status in TERMINAL and status is not TaskStatusEnum.CANCELED:
        raise AlreadyExistsError(f"The migration is {status}: nothing runs that could be canceled")
    asked_at = receipt.cancellation.requested_at if receipt and receipt.cancellation else None
    return {
        "migration_id": migration_id,
        "status": word(status),
        "task_id": migration.task_id,
        "cancelled_at": rfc3339(asked_at or migration.updated_at),
        "message": message_of(status)
        if status is TaskStatusEnum.CANCELED
        else "The migration was asked to end; its status says when it has",
    }


@router.post(
    "/{migration_id}/rollback",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(
        shape.StartedMigration, {409: "Only what failed or was canceled is rolled back."}
    ),
)
def roll_back_migration(migration_id: str, key: AdminKey, stores: Held, word: Worded) -> JsonObject:
    """The task that deletes all that a failed or canceled migration wrote; the same one again
    while it runs, and once it has ended well.
    """
    migration = find_migration(stores, key, migration_id)
    status = current_status(stores, migration)
    if status not in UNFINISHED:
        raise AlreadyExistsError(
            f"The migration is {status}: only one that failed or was canceled is rolled back"
        )
    receipt = receipt_of(stores, migration.rollback_task_id)
    is_done = migration.rolled_back_at is not None
    if not is_done and (receipt is None or receipt.is_terminal):
        task = _task(stores, migration, key, ROLLBACK_TYPE)
        stores.migrations.roll_back(migration, task, stores.ledger)
        migration = find_migration(stores, key, migration_id)
    message = "Nothing is left of it" if is_done else "What the migration wrote is being deleted"
    return _started(migration, migration.rollback_task_id, status, message=message, word=word)


def start(stores: Stores, migration: Migration, key: ApiKey, word: Word) -> JsonObject:
    """The task that carries the migration out: a new one, or the one that is at work."""
    task_id = new_id("tsk")
    if task_id not in (migration.task_id, *migration.earlier_task_ids):
        status = current_status(stores, migration)
        if status is TaskStatusEnum.DRAFT or status in UNFINISHED:
            migration = _launch(stores, migration, key)
        elif status in TERMINAL:
            raise AlreadyExistsError(f"The migration is {status}: create another one")
    status = current_status(stores, migration)
    return _started(migration, migration.task_id, status, message=message_of(status), word=word)


def refuse_invalid(validation: Validation) -> None:
    """`InvalidError` with all that stands in the migration's way, by its codes."""
    if validation.errors:
        raise InvalidError(
            [
                Problem(("migration", each.resource_id or "config"), each.message, each.error_code)
                for each in validation.errors
            ]
        )


def _launch(stores: Stores, migration: Migration, key: ApiKey) -> Migration:
    """The migration with its new task, or as another request left it that was first."""
    rollback = receipt_of(stores, migration.rollback_task_id)
    if migration.rolled_back_at is not None:
        raise AlreadyExistsError("The migration was rolled back: create another one")
    if rollback is not None and not rollback.is_terminal:
        raise AlreadyExistsError("The migration is being rolled back: it cannot go on")
    validation = examiner(stores).examine(migration.config, migration_id=migration.migration_id)
    refuse_invalid(validation)
    stores.migrations.start(migration, _task(stores, migration, key, RUN_TYPE), stores.ledger)
    return stores.migrations.get(migration.migration_id)


def _task(stores: Stores, migration: Migration, key: ApiKey, task_type: str) -> NewTask:
    return NewTask(
        task_type=task_type,
        namespace_id=migration.namespace_id,
        inputs=[migration.migration_id],
        actor=key.actor,
        additional_data={
            "migration_id": migration.migration_id,
            "target_namespace_id": migration.target_id,
            "request_id": current_request_id(),
        },
        max_attempts=stores.settings.max_attempts,
        callback_url=migration.config.webhook_url if task_type == RUN_TYPE else None,
    )


def _started(
    migration: Migration,
    task_id: str | None,
    status: TaskStatusEnum,
    *,
    message: str,
    word: Word,
) -> JsonObject:
    return {
        "migration_id": migration.migration_id,
        "status": word(status),
        "task_id": task_id,
        "started_at": rfc3339(migration.started_at or migration.updated_at),
        "message": message,
    }
