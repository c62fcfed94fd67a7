"""Migrations of namespaces."""

from collections.abc import Mapping, Sequence
from typing import Literal

from waybill.endpoint import D, endpoint
from waybill.flow.path import path_to
from waybill.flow.step import Flow
from waybill.flow.verb import act, ask, create, delete, fetched, get, said
from waybill.groups.listed import Listed
from waybill.types import Deleted, JsonObject
from waybill.types.migration import (
    CanceledMigration,
    Migration,
    MigrationExamination,
    StartedMigration,
)

Kind = Literal["copy", "extend", "re_extract"]


class Migrations(Listed[D, Migration]):
    """A namespace copied, extended or extracted anew; all of it needs an admin's key."""

    kind = Migration
    parts = ("namespaces", "migrations")

    @endpoint
    def create(
        self,
        migration_type: Kind,
        source: str,
        target: str,
        *,
        feature_extractors: Sequence[Mapping[str, object]] | None = None,
        filters: Mapping[str, object] | None = None,
        batch_size: int | None = None,
        dry_run: bool = False,
        webhook_url: str | None = None,
        start_immediately: bool = False,
        idempotency_key: str | None = None,
    ) -> Flow[Migration]:
        """A DRAFT, or with `start_immediately` one that starts.

        `target` is the name of the new namespace, or for `extend` the id or name of one that is
        there.
        """
        config = _config(
            migration_type,
            source,
            target,
            feature_extractors=feature_extractors,
            filters=filters,
            batch_options=None if batch_size is None else {"batch_size": batch_size},
            dry_run=dry_run,
            webhook_url=webhook_url,
        )
        body = {"config": config, "start_immediately": start_immediately}
        path = path_to("namespaces", "migrations")
        return fetched(Migration, create(path, body, key=idempotency_key))

    @endpoint
    def validate(
        self,
        migration_type: Kind,
        source: str,
        target: str,
        *,
        feature_extractors: Sequence[Mapping[str, object]] | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Flow[MigrationExamination]:
        """What such a migration would meet; nothing is stored."""
        config = _config(
            migration_type, source, target, feature_extractors=feature_extractors, filters=filters
        )
        path = path_to("namespaces", "migrations", "validate")
        return fetched(MigrationExamination, ask(path, {"config": config}))

    @endpoint
    def start(
        self, migration_id: str, *, idempotency_key: str | None = None
    ) -> Flow[StartedMigration]:
        """Starts it, or goes on with one that failed or was canceled."""
        path = path_to("namespaces", "migrations", migration_id, "start")
        return fetched(StartedMigration, create(path, {}, key=idempotency_key))

    @endpoint
    def get(self, migration_id: str) -> Flow[Migration]:
        """The migration; its status is its task's."""
        return fetched(Migration, get(path_to("namespaces", "migrations", migration_id)))

    @endpoint
    def cancel(self, migration_id: str, *, reason: str | None = None) -> Flow[CanceledMigration]:
        """Asks for its end; what it wrote stays out of sight."""
        path = path_to("namespaces", "migrations", migration_id, "cancel")
        return fetched(CanceledMigration, act(path, said(reason=reason), repeatable=True))

    @endpoint
    def roll_back(
        self, migration_id: str, *, idempotency_key: str | None = None
    ) -> Flow[StartedMigration]:
        """The task that deletes all that a failed or canceled migration wrote."""
        path = path_to("namespaces", "migrations", migration_id, "rollback")
        return fetched(StartedMigration, create(path, key=idempotency_key))

    @endpoint
    def delete(self, migration_id: str) -> Flow[Deleted]:
        """Forgets a draft or a migration that has ended; what it made stays."""
        return fetched(Deleted, delete(path_to("namespaces", "migrations", migration_id)))


def _config(kind: Kind, source: str, target: str, **more: object) -> JsonObject:
    place = "target_namespace_id" if kind == "extend" else "target_namespace_name"
    return said(migration_type=kind, source_namespace_id=source, **{place: target}, **more)
