"""Who may see a migration: keys with the permission admin that open both of its namespaces."""

from typing import Annotated

from fastapi import Depends

from app.access.key import ApiKey
from app.access.permission import Permission
from app.api.migration_answer import migration_json
from app.api.migration_word import Word
from app.http.body import JsonObject
from app.http.caller import require_key
from app.migrations.examination import Examiner
from app.migrations.migration import Migration
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.resources.extractor import Limits
from app.resources.namespace import Namespace
from app.resources.settlement import status_of
from app.stores import Stores

AdminKey = Annotated[ApiKey, Depends(require_key(Permission.ADMIN))]


def find_migration(stores: Stores, key: ApiKey, migration_id: str) -> Migration:
    """The migration, or `NotFoundError`: for this key there is none."""
    return stores.migrations.get(migration_id, scope=key.namespace_ids)


def find_namespace(stores: Stores, key: ApiKey, identifier: str) -> Namespace | None:
    """The namespace with this id or name; None where the key does not open it, too."""
    found = stores.namespaces.find(identifier)
    return found if found is not None and key.opens(found.namespace_id) else None


def examiner(stores: Stores) -> Examiner:
    """What validates migrations."""
    settings = stores.settings
    limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
    return Examiner(stores.ledger.receipts.tasks.database, stores.migrations, limits)


def receipt_of(stores: Stores, task_id: str | None) -> Receipt | None:
    return stores.ledger.receipts.find(task_id) if task_id else None


def current_status(stores: Stores, migration: Migration) -> TaskStatusEnum:
    """The migration's status now: its task's, while there is a receipt."""
    return status_of(migration.status, receipt_of(stores, migration.task_id))


def described(stores: Stores, migration: Migration, word: Word) -> JsonObject:
    """The migration as answers have it."""
    return migration_json(
        migration,
        receipt_of(stores, migration.task_id),
        receipt_of(stores, migration.rollback_task_id),
        word,
    )
