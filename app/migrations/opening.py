"""The one step by which a migration's target becomes visible."""

from collections.abc import Sequence
from datetime import datetime

from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.errors import PermanentError
from app.migrations.kind import KINDS
from app.migrations.migration import Migration
from app.migrations.plan import Plan
from app.migrations.replacement import replaced
from app.migrations.resource import Resource
from app.receipts.draft import this_moment
from app.receipts.quota import COLLECTION as NAMESPACES
from app.receipts.status import TaskStatusEnum


class Opening:
    """Stores a target's namespace and standing resources; their rows are there already."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def missing(self, plan: Plan, namespace_id: str) -> Resource | None:
        """The first resource of the plan that the source no longer has."""
        for kind, stored in KINDS.items():
            wanted = [each for each in plan.resources if each.resource_type is kind]
            found = self._database[stored.collection].find(
                {"_id": {"$in": [each.resource_id for each in wanted]}}, {"namespace_id": 1}
            )
            there = {row["_id"] for row in found if row["namespace_id"] == namespace_id}
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
        for each in plan.resources:
            self._resource(migration, plan, each, at=at, session=session)

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

    def _resource(
        self,
        migration: Migration,
        plan: Plan,
        resource: Resource,
        *,
        at: datetime,
        session: ClientSession,
    ) -> None:
        kind = KINDS[resource.resource_type]
        rows = self._database[kind.collection]
        owned = {"_id": resource.resource_id, "namespace_id": migration.namespace_id}
        stored = rows.find_one(owned, session=session)
        called = f"{resource.resource_type} '{resource.name}'"
        if stored is None:
            raise PermanentError(f"The {called} was deleted from the source meanwhile")
        name = {kind.name_field: stored[kind.name_field]}
        taken = {"namespace_id": migration.target_id, **name}
        if rows.find_one(taken, {"_id": 1}, session=session):
            raise PermanentError(f"The target has a {called} of its own by now")
        made = {
            **replaced(migration.ids.standing_row(stored, plan.ids), migration.config, stored),
            **kind.begins_with,
            "_id": migration.ids.new(resource.resource_id),
            "created_at": at,
            "updated_at": at,
        }
        rows.insert_one(made, session=session)


def names_taken(
    database: Database[Document], namespace_id: str, resources: Sequence[Resource]
) -> list[Resource]:
    """Those of the resources whose names the namespace has given already."""
    taken: list[Resource] = []
    for kind, stored in KINDS.items():
        named = {each.name: each for each in resources if each.resource_type is kind}
        scope = {"namespace_id": namespace_id, stored.name_field: {"$in": sorted(named)}}
        found = database[stored.collection].find(scope, {stored.name_field: 1})
        taken += [named[row[stored.name_field]] for row in found]
    return taken
