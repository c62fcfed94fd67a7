"""The one step by which a migration's target becomes visible."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.errors import PermanentError
from app.events.outbox import OutboxStore
from app.events.resource import STANDING, Thing, creation
from app.migrations.kind import KINDS
from app.migrations.migration import Migration
from app.migrations.plan import Plan
from app.migrations.replacement import replaced
from app.migrations.resource import Resource, ResourceType
from app.receipts.draft import this_moment
from app.receipts.quota import COLLECTION as NAMESPACES
from app.receipts.status import TaskStatusEnum


class Opening:
    """Stores a target's namespace and standing resources; their rows are there already."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._outbox = OutboxStore(database)

    def missing(self, resources: Sequence[Resource], namespace_id: str) -> Resource | None:
        """The first of the resources that the source no longer has."""
        for kind, stored in KINDS.items():
            wanted = [each for each in resources if each.resource_type is kind]
            if not wanted:
                continue
            ids = [each.resource_id for each in wanted]
            found = self._database[stored.collection].find(
                {"_id": {"$in": ids}, "namespace_id": namespace_id}, {"_id": 1}
            )
            there = {row["_id"] for row in found}
            for each in wanted:
                if each.resource_id not in there:
                    return each
        return None

    def unplanned(self, plan: Plan, namespace_id: str, session: ClientSession) -> list[str]:
        """The ids of what the source has got since the plan was made."""
        scope = {"namespace_id": namespace_id, "_id": {"$nin": plan.ids}}
        return [
            row["_id"]
            for kind in KINDS.values()
            for row in self._database[kind.collection].find(scope, {"_id": 1}, session=session)
        ]

    def open(self, migration: Migration, plan: Plan, session: ClientSession) -> None:
        """Inserts all that makes the target's rows reachable.

        `PermanentError`, and nothing is stored, where a name was taken meanwhile or something is
        gone from the source.
        """
        at = this_moment()
        self._namespace(migration, at, session)
        table = migration.ids.table(plan.ids)
        for kind in KINDS:
            resources = [each for each in plan.resources if each.resource_type is kind]
            if resources:
                self._check_names(kind, resources, migration.target_id, session)
                found = self._found(kind, resources, migration.namespace_id, session)
                made = [_made(migration, kind, row, table, at) for row in found]
                self._database[KINDS[kind].collection].insert_many(made, session=session)
                self._tell(KINDS[kind].collection, made, session)

    def _tell(self, rows: str, made: Sequence[Document], session: ClientSession) -> None:
        if (kind := STANDING.get(rows)) is not None:
            events = [creation(Thing.of_row(kind, row), row["created_at"]) for row in made]
            self._outbox.add(events, session=session)

    def _namespace(self, migration: Migration, at: datetime, session: ClientSession) -> None:
        namespaces = self._database[NAMESPACES]
        if not migration.makes_namespace:
            # A write, so that one who deletes the empty namespace at this moment clashes with it.
            there = namespaces.update_one(
                {"_id": migration.target_id}, {"$set": {"updated_at": at}}, session=session
            )
            if not there.matched_count:
                raise PermanentError("The target namespace was deleted meanwhile")
            return
        name = migration.config.target_namespace_name
        source = namespaces.find_one({"_id": migration.namespace_id}, session=session)
        if source is None:
            raise PermanentError("The source namespace was deleted meanwhile")
        if namespaces.find_one({"namespace_name": name}, {"_id": 1}, session=session):
            raise PermanentError(f"The name '{name}' was taken by another namespace meanwhile")
        namespaces.insert_one(
            {
                "_id": migration.target_id,
                "namespace_name": name,
                "description": source["description"],
                "metadata": source["metadata"],
                "status": TaskStatusEnum.ACTIVE.value,
                "created_at": at,
                "updated_at": at,
            },
            session=session,
        )

    def _check_names(
        self,
        kind: ResourceType,
        resources: Sequence[Resource],
        target_id: str,
        session: ClientSession,
    ) -> None:
        for each in names_taken(self._database, target_id, resources, session=session):
            raise PermanentError(f"The target has a {kind} '{each.name}' of its own by now")

    def _found(
        self,
        kind: ResourceType,
        resources: Sequence[Resource],
        namespace_id: str,
        session: ClientSession,
    ) -> list[Document]:
        """The resources' rows in the source; `PermanentError` where one is gone."""
        ids = [each.resource_id for each in resources]
        owned = {"_id": {"$in": ids}, "namespace_id": namespace_id}
        rows = self._database[KINDS[kind].collection].find(owned, session=session)
        found = {row["_id"]: row for row in rows}
        for each in resources:
            if each.resource_id not in found:
                raise PermanentError(
                    f"The {kind} '{each.name}' was deleted from the source meanwhile"
                )
        return [found[key] for key in ids]


def _made(
    migration: Migration, kind: ResourceType, row: Document, table: Mapping[str, str], at: datetime
) -> Document:
    """The resource as the target has it."""
    return {
        **replaced(migration.ids.standing_row(row, table), migration.config, row),
        **KINDS[kind].begins_with,
        "_id": table[row["_id"]],
        "created_at": at,
        "updated_at": at,
    }


def names_taken(
    database: Database[Document],
    namespace_id: str,
    resources: Sequence[Resource],
    *,
    session: ClientSession | None = None,
) -> list[Resource]:
    """Those of the resources whose names the namespace has given already."""
    taken: list[Resource] = []
    for kind, stored in KINDS.items():
        named = {each.name: each for each in resources if each.resource_type is kind}
        scope = {"namespace_id": namespace_id, stored.name_field: {"$in": sorted(named)}}
        found = database[stored.collection].find(scope, {stored.name_field: 1}, session=session)
        taken += [named[row[stored.name_field]] for row in found]
    return taken
