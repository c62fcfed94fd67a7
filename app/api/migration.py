"""Migrations of namespaces: these routes belong to no namespace, only to the key's scope.

A migration is there for keys that open both its source and its target.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.access.key import ApiKey
from app.api import callback
from app.api.migration_access import (
    AdminKey,
    current_status,
    described,
    examiner,
    find_migration,
    find_namespace,
)
from app.api.migration_answer import message_of, migration_json
from app.api.migration_body import (
    ConfigBody,
    CreateMigration,
    ListMigrations,
    ValidateMigration,
)
from app.api.migration_run import refuse_invalid, start
from app.api.migration_word import Word, Worded
from app.api.namespace import RESERVED
from app.api.shape import migration as shape
from app.errors import AlreadyExistsError, ForbiddenError, InvalidError, NotFoundError
from app.http.answer import Done, answers
from app.http.body import CREATED, JsonObject
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListParams, counted, list_query, listed
from app.identity import new_id
from app.migrations.config import MigrationConfig
from app.migrations.examination import SOURCE_MISSING, TARGET_MISSING
from app.migrations.finding import Finding, Validation
from app.migrations.migration import Migration
from app.query.page import Page
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.stores import Held, Stores

router = APIRouter(
    prefix="/v1/namespaces/migrations", tags=["migrations"], route_class=IdempotentRoute
)


# The public client ends the path with a slash.
@router.post("/", status_code=CREATED, openapi_extra=CREATES, include_in_schema=False)
@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.CreatedMigration),
)
def create_migration(
    body: CreateMigration, key: AdminKey, stores: Held, word: Worded
) -> JsonObject:
    """A DRAFT with what a first validation found, or with `start_immediately` one that starts."""
    migration_id = new_id("mig")
    # A request that is repeated under its key goes on where its first run was cut off.
    migration = stores.migrations.find(migration_id) or _created(stores, key, migration_id, body)
    if body.start_immediately:
        start(stores, migration, key, word)
        migration = stores.migrations.get(migration.migration_id)
    status = current_status(stores, migration)
    return {**described(stores, migration, word), "message": message_of(status)}


@router.post("/validate", responses=answers(shape.ValidatedMigration))
def validate_migration(body: ValidateMigration, key: AdminKey, stores: Held) -> JsonObject:
    """What such a migration would meet, and what would go along; nothing is stored."""
    config = _config(stores, key, body.asked)
    if isinstance(config, Finding):
        found = Validation([config])
    else:
        found = examiner(stores).examine(config)
    number = len(found.errors)
    return {
        "validation_result": found.to_json(),
        "dependency_graph": found.graph_json(),
        "message": "The migration can start" if not number else f"{number} in the way of it",
    }


@router.post("/list", responses=answers(shape.MigrationPage))
def list_migrations(
    request: Request,
    key: AdminKey,
    stores: Held,
    word: Worded,
    params: Annotated[ListParams, Query()],
    body: ListMigrations | None = None,
) -> JsonObject:
    """A page of the migrations whose two namespaces the key opens, the newest first."""
    body = body or ListMigrations()
    query = list_query(params, body, body.shorthand)
    page = stores.migrations.list(
        counted(query), scope=key.namespace_ids, statuses=body.wanted_statuses
    )
    shown = _described_all(stores, page, word)
    # The public client wants the last three at the top.
    return {
        **listed(request, query, shown),
        "total": page.total,
        "limit": query.limit,
        "offset": query.skip,
    }


@router.get("/", include_in_schema=False)
@router.get("", responses=answers(shape.MigrationPage))
def get_migrations(
    request: Request,
    key: AdminKey,
    stores: Held,
    word: Worded,
    params: Annotated[ListParams, Query()],
) -> JsonObject:
    """The same list without filters."""
    return list_migrations(request, key, stores, word, params)


@router.get("/{migration_id}", responses=answers(shape.Migration))
def get_migration(migration_id: str, key: AdminKey, stores: Held, word: Worded) -> JsonObject:
    """The migration; its status is its task's."""
    return described(stores, find_migration(stores, key, migration_id), word)


@router.delete(
    "/{migration_id}",
    responses=answers(Done, {409: "It is at work, or left rows that are to be rolled back."}),
)
def delete_migration(migration_id: str, key: AdminKey, stores: Held) -> JsonObject:
    """Forgets a draft or a migration that has ended; what it made stays as it is."""
    migration = find_migration(stores, key, migration_id)
    status = current_status(stores, migration)
    if status not in TERMINAL and status is not TaskStatusEnum.DRAFT:
        raise AlreadyExistsError(f"The migration is {status}: cancel it first")
    if status is not TaskStatusEnum.COMPLETED and migration.has_written:
        raise AlreadyExistsError(
            f"The migration is {status}, and what it wrote is still there: roll it back first"
        )
    if not stores.migrations.delete(migration):
        raise AlreadyExistsError("The migration was started meanwhile")
    return {"success": True, "message": f"The migration '{migration_id}' is deleted"}


def _created(stores: Stores, key: ApiKey, migration_id: str, body: CreateMigration) -> Migration:
    config = _config(stores, key, body.asked)
    if isinstance(config, Finding):
        raise NotFoundError(config.message)
    validation = examiner(stores).examine(config)
    if body.start_immediately:
        refuse_invalid(validation)
    return stores.migrations.create(migration_id, config, validation)


def _config(stores: Stores, key: ApiKey, asked: ConfigBody) -> MigrationConfig | Finding:
    """The configuration with the ids of its namespaces, or which of these there is not."""
    callback.checked(asked.webhook_url, stores.settings, "body", "config")
    source = find_namespace(stores, key, asked.source_namespace_id)
    if source is None:
        return SOURCE_MISSING
    if asked.target_namespace_id is None:
        _check_new(key, asked.target_namespace_name or "")
        return asked.to_value(source.namespace_id, None)
    target = find_namespace(stores, key, asked.target_namespace_id)
    if target is None:
        return TARGET_MISSING
    return asked.to_value(source.namespace_id, target.namespace_id)


def _check_new(key: ApiKey, name: str) -> None:
    if key.namespace_ids is not None:
        raise ForbiddenError("This key is limited to some namespaces: it cannot make others")
    if name in RESERVED or name.startswith("ns_"):
        message = f"'{name}' is reserved: take another name"
        raise InvalidError.at("body", "target_namespace_name", message=message)


def _described_all(stores: Stores, page: Page[Migration], word: Word) -> Page[JsonObject]:
    """With the receipts of all of them in one query."""
    task_ids = [
        task_id
        for each in page.results
        for task_id in (each.task_id, each.rollback_task_id)
        if task_id is not None
    ]
    found = {each.task_id: each for each in stores.ledger.receipts.find_many(task_ids)}
    return page.map(
        lambda each: migration_json(
            each, found.get(each.task_id or ""), found.get(each.rollback_task_id or ""), word
        )
    )
