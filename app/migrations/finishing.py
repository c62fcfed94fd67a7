"""The end of a migration: its report, and the transaction that opens the target."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pymongo.client_session import ClientSession

from app.migrations.late import Expected, late_changes
from app.migrations.migration import Migration
from app.migrations.opening import Opening
from app.migrations.plan import Plan, Track, TrackKind
from app.migrations.resource import ResourceType
from app.migrations.stage import ended
from app.migrations.store import MigrationStore
from app.migrations.transfer import TransferStore
from app.receipts.draft import this_moment
from app.receipts.receipt import JsonObject

FAILURES_SHOWN: Final = 20
# Rows carry the time of the process that wrote them: what clocks may differ.
CLOCKS: Final = timedelta(minutes=1)


class Finish:
    """Of one migration whose two sides are equal."""

    def __init__(
        self,
        migration: Migration,
        plan: Plan,
        *,
        stores: tuple[MigrationStore, TransferStore, Opening],
        expected: Expected,
    ) -> None:
        self._migration = migration
        self._plan = plan
        self._migrations, self._transfer, self._opening = stores
        self._expected = expected
        self.report = self._report()

    @property
    def outputs(self) -> JsonObject:
        """The task's: without what there is of each bucket and collection, which may be a lot."""
        brief = {name: value for name, value in self.report.items() if name != "verification"}
        return {"migration_id": self._migration.migration_id, **brief}

    def open(self, session: ClientSession) -> None:
        """Makes the target visible, and keeps the report with what changed too late for it.

        `PermanentError` where the target has taken a name meanwhile, or the source lost something.
        """
        migration, at = self._migration, this_moment()
        self._opening.open(migration, self._plan, session)
        report = {**self.report, "late_changes": self._late(session, at)}
        stages = tuple(ended(each, at) for each in self._plan.stages)
        self._migrations.save_plan(
            migration.migration_id, replace(self._plan, stages=stages), session
        )
        self._migrations.save_report(migration.migration_id, report, session)

    def _late(self, session: ClientSession, at: datetime) -> JsonObject:
        since = (self._plan.position.began_at or at) - CLOCKS
        late = late_changes(self._transfer, self._plan, self._expected, since, session)
        left: list[str] = []
        if self._migration.config.filters.named is None:
            left = self._opening.unplanned(self._plan, self._migration.namespace_id, session)
        return {**late, "resource_ids": left}

    def _report(self) -> JsonObject:
        migration, plan = self._migration, self._plan
        made = [
            migration.ids.new(each.resource_id)
            for each in plan.resources
            if each.resource_type is ResourceType.COLLECTION
        ]
        failures = self._transfer.failures(migration.migration_id, FAILURES_SHOWN)
        return {
            "target_namespace_id": migration.target_id,
            "resources": {
                f"{kind}": sum(each.resource_type is kind for each in plan.resources)
                for kind in ResourceType
            },
            "objects": _compared(plan, TrackKind.OBJECTS),
            "documents": self._transfer.document_count(made),
            "failed_documents": self._transfer.failure_count(migration.migration_id),
            "failures": [
                {
                    "object_id": row["object_id"],
                    "collection_id": row["collection_id"],
                    "error_type": row["error_type"],
                    "reason": row["reason"],
                }
                for row in failures
            ],
            "rounds": plan.position.round,
            "carried_over": plan.position.carried_over,
            "verification": [self._verified(track) for track in plan.tracks],
        }

    def _verified(self, track: Track) -> JsonObject:
        _, held = self._transfer.counts(track)
        return {
            "resource_type": OWNER[track.kind].value,
            "resource_id": track.source_id,
            "target_resource_id": track.target_id,
            "name": track.name,
            "source_count": track.compared,
            "target_count": held,
            "source_hash": track.source_hash,
            "target_hash": track.target_hash,
        }


OWNER: Final = {
    TrackKind.OBJECTS: ResourceType.BUCKET,
    TrackKind.DOCUMENTS: ResourceType.COLLECTION,
}


def _compared(plan: Plan, kind: TrackKind) -> int:
    return sum(track.compared for track in plan.tracks if track.kind is kind)
