"""The collection `migrations`: drafts, runs, their progress, and what came of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, insert_once
from app.errors import NotFoundError
from app.migrations.config import MigrationConfig, MigrationType
from app.migrations.finding import Validation
from app.migrations.migration import Migration, new_target_id
from app.migrations.plan import Plan
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.draft import this_moment
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.resources.launch import launch
from app.resources.settlement import having, settle

COLLECTION: Final = "migrations"

FIELDS: Final = FieldSet(
    {
        "migration_id": Field("_id", nullable=False),
        "migration_type": Field("config.migration_type", choices=tuple(MigrationType)),
        "source_namespace_id": Field("namespace_id", nullable=False),
        "target_namespace_id": Field("target_id"),
        "target_namespace_name": Field("config.target_namespace_name"),
        "task_id": Field("task_id"),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME),
    },
)

_NEWEST_FIRST: Final = (("created_at", DESCENDING), ("_id", DESCENDING))
INDEXES: Final = [
    IndexModel(list(_NEWEST_FIRST)),
    IndexModel([("namespace_id", ASCENDING), *_NEWEST_FIRST]),
    IndexModel([("target_id", ASCENDING)]),
    IndexModel([("outcome", ASCENDING), ("task_id", ASCENDING)]),
]


class MigrationStore:
    """Migrations; a start stores migration and receipt in one transaction."""

    def __init__(self, database: Database[Document], receipts: ReceiptStore) -> None:
        self._migrations = database[COLLECTION]
        self._receipts = receipts

    def ensure_indexes(self) -> None:
        """Makes lists fast; safe to repeat."""
        self._migrations.create_indexes(INDEXES)

    def create(
        self, migration_id: str, config: MigrationConfig, validation: Validation
    ) -> Migration:
        """A DRAFT with what its first validation found."""
        at = this_moment()
        stored: Document = {
            "_id": migration_id,
            "namespace_id": config.source_namespace_id,
            "target_id": config.target_namespace_id or new_target_id(migration_id),
            "config": config.to_document(),
            "status": TaskStatusEnum.DRAFT.value,
            "task_id": None,
            "earlier_task_ids": [],
            "outcome": None,
            "validation": validation.to_json(),
            "graph": validation.graph_json(),
            "plan": None,
            "report": None,
            "rollback_task_id": None,
            "rolled_back_at": None,
            "created_at": at,
            "updated_at": at,
            "started_at": None,
        }
        return Migration.from_document(insert_once(self._migrations, stored))

    def get(self, migration_id: str, *, scope: Collection[str] | None = None) -> Migration:
        """The migration, or `NotFoundError`; with a scope, both its namespaces are in that."""
        found = self.find(migration_id, scope=scope)
        if found is None:
            raise NotFoundError(f"There is no migration '{migration_id[:128]}'")
        return found

    def find(self, migration_id: str, *, scope: Collection[str] | None = None) -> Migration | None:
        """The same, or None."""
        stored = self._migrations.find_one({"_id": migration_id, **_within(scope)})
        return None if stored is None else Migration.from_document(stored)

    def rivals(self, target_id: str | None, name: str | None, but: str | None) -> list[str]:
        """The ids of others with this target that are at work now."""
        same: list[Document] = [{"target_id": target_id}] if target_id else []
        if name is not None:
            same.append({"config.target_namespace_name": name})
        found = {"$or": same, "_id": {"$ne": but}, "outcome": None, "task_id": {"$ne": None}}
        tasks = {row["task_id"]: row["_id"] for row in self._migrations.find(found, {"task_id": 1})}
        receipts = self._receipts.find_many(list(tasks))
        return [tasks[each.task_id] for each in receipts if not each.is_terminal]

    def list(
        self,
        query: ListQuery,
        *,
        scope: Collection[str] | None,
        statuses: Sequence[TaskStatusEnum] = (),
    ) -> Page[Migration]:
        """A page of those whose two namespaces are in the scope, and that have one of the statuses
        where any are given.
        """
        within = _within(scope)
        if statuses:
            having_one = [self._having(each, within) for each in statuses]
            query = replace(query, now={"$or": having_one})
        return list_page(self._migrations, within, query, FIELDS).map(Migration.from_document)

    def start(self, migration: Migration, task: NewTask, ledger: Ledger) -> Receipt | None:
        """The receipt of a new run, after the one that it knows of; None: another was first."""
        return launch(ledger, task, partial(self._start, migration))

    def roll_back(self, migration: Migration, task: NewTask, ledger: Ledger) -> Receipt | None:
        """The receipt of a new rollback, under the same terms."""
        return launch(ledger, task, partial(self._roll_back, migration))

    def cancel_draft(self, migration: Migration) -> bool:
        """Makes a DRAFT CANCELED; False where it is none any more."""
        at = this_moment()
        outcome = {"outputs": None, "error_message": None, "started_at": None, "ended_at": at}
        changed = self._migrations.update_one(
            {"_id": migration.migration_id, "status": TaskStatusEnum.DRAFT.value},
            {"$set": {"status": "CANCELED", "outcome": outcome, "updated_at": at}},
        )
        return bool(changed.matched_count)

    def delete(self, migration: Migration) -> bool:
        """Forgets it; False where something happened to it meanwhile."""
        unchanged = {
            "_id": migration.migration_id,
            "task_id": migration.task_id,
            "rollback_task_id": migration.rollback_task_id,
        }
        return bool(self._migrations.delete_one(unchanged).deleted_count)

    def save_plan(
        self, migration_id: str, plan: Plan, session: ClientSession | None = None
    ) -> None:
        """Keeps a plan and how far it is."""
        changes = {"plan": plan.to_document(), "updated_at": this_moment()}
        self._migrations.update_one({"_id": migration_id}, {"$set": changes}, session=session)

    def save_step(self, migration_id: str, plan: Plan, session: ClientSession) -> None:
        """Keeps how far a plan is, with what the step wrote; no other track has changed."""
        changes: Document = {
            "plan.stages": [each.to_document() for each in plan.stages],
            "plan.position": plan.position.to_document(),
            "updated_at": this_moment(),
        }
        if (at := plan.position.track) < len(plan.tracks):
            changes[f"plan.tracks.{at}"] = plan.tracks[at].to_document()
        self._migrations.update_one({"_id": migration_id}, {"$set": changes}, session=session)

    def save_validation(self, migration_id: str, validation: Validation) -> None:
        """Keeps what the latest validation found."""
        changes = {"validation": validation.to_json(), "graph": validation.graph_json()}
        self._migrations.update_one({"_id": migration_id}, {"$set": changes})

    def save_report(
        self, migration_id: str, report: Mapping[str, object], session: ClientSession
    ) -> None:
        """Keeps what came of a run."""
        changes = {"report": dict(report), "updated_at": this_moment()}
        self._migrations.update_one({"_id": migration_id}, {"$set": changes}, session=session)

    def save_rolled_back(self, migration_id: str, session: ClientSession) -> None:
        """Records that nothing is left of what it wrote."""
        at = this_moment()
        changes = {"rolled_back_at": at, "updated_at": at}
        self._migrations.update_one({"_id": migration_id}, {"$set": changes}, session=session)

    def settle(self) -> int:
        """Copies the ends of tasks to their migrations, and counts them; safe to repeat."""
        return settle(self._migrations, self._receipts)

    def _start(self, migration: Migration, receipt: Document, session: ClientSession) -> bool:
        at = receipt["created_at"]
        started = self._migrations.update_one(
            {
                "_id": migration.migration_id,
                "task_id": migration.task_id,
                "rollback_task_id": migration.rollback_task_id,
                "rolled_back_at": None,
            },
            {
                "$set": {
                    "status": TaskStatusEnum.PENDING.value,
                    "task_id": receipt["_id"],
                    "outcome": None,
                    "started_at": migration.started_at or at,
                    "updated_at": at,
                },
                "$push": {"earlier_task_ids": {"$each": _listed(migration.task_id)}},
            },
            session=session,
        )
        return bool(started.matched_count)

    def _roll_back(self, migration: Migration, receipt: Document, session: ClientSession) -> bool:
        begun = self._migrations.update_one(
            {
                "_id": migration.migration_id,
                "task_id": migration.task_id,
                "rollback_task_id": migration.rollback_task_id,
            },
            {"$set": {"rollback_task_id": receipt["_id"], "updated_at": receipt["created_at"]}},
            session=session,
        )
        return bool(begun.matched_count)

    def _having(self, status: TaskStatusEnum, scope: Document) -> Document:
        if status is TaskStatusEnum.DRAFT:
            return {"status": status.value}
        return having(status, self._migrations, scope, self._receipts)


def _listed(task_id: str | None) -> list[str]:
    return [task_id] if task_id else []


def _within(scope: Collection[str] | None) -> Document:
    """Both namespaces have to be the key's."""
    if scope is None:
        return {}
    ids = sorted(scope)
    return {"namespace_id": {"$in": ids}, "target_id": {"$in": ids}}
