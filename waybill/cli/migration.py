"""`waybill migrations`: namespaces copied, extended or extracted anew."""

from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import Reason, Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.exit_code import ExitCode, of_status
from waybill.cli.following import ended
from waybill.cli.json_option import object_of
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread
from waybill.client import Client
from waybill.types.migration import Migration

migrations = typer.Typer(
    help="Copy, extend or re-extract a namespace. Needs an admin's key.", no_args_is_help=True
)


class Kind(StrEnum):
    """What a migration does."""

    COPY = "copy"
    EXTEND = "extend"
    RE_EXTRACT = "re_extract"


COLUMNS: Final = (
    Column("MIGRATION", "migration_id", whole=True),
    Column("STATUS", "status", output.status, whole=True),
    Column("TARGET", "target_namespace_id", whole=True),
    Column("CREATED", "created_at", output.age),
)
FINDINGS: Final = (
    Column("SEVERITY", "severity"),
    Column("CODE", "error_code", whole=True),
    Column("MESSAGE", "message"),
)

MigrationId = Annotated[
    str,
    typer.Argument(metavar="MIGRATION_ID", help="Id of the migration, mig_….", parser=identifier),
]
Type = Annotated[Kind, typer.Argument(help="What it does.")]
Source = Annotated[
    str, typer.Argument(help="Name or id of the namespace to read.", parser=identifier)
]
Target = Annotated[
    str,
    typer.Argument(
        help="Name of the namespace to make; for extend, name or id of one that is there.",
        parser=identifier,
    ),
]
Extractors = Annotated[
    list[str] | None,
    typer.Option(
        "--extractor",
        help='For re_extract: {"feature_extractor_name": …, "parameters": …}, or @FILE.',
    ),
]
Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", help="Id of a collection that goes along; default: everything."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Until its task has ended.")]


@migrations.command("create")
@spread
def create(
    kind: Type,
    source: Source,
    target: Target,
    extractor: Extractors = None,
    collection: Collections = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure what would move, and write nothing.")
    ] = False,
    start: Annotated[bool, typer.Option("--start", help="At once.")] = False,
    wait: Wait = False,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Plan a migration; --start or --wait starts it, too."""
    with connection.client() as client:
        made = client.migrations.create(
            kind.value,
            source,
            target,
            feature_extractors=_extractors(extractor),
            filters=_filters(collection),
            dry_run=dry_run,
            start_immediately=start or wait,
        )
        _conclude(client, connection, made["migration_id"], showing, wait=wait)


@migrations.command("validate")
@spread
def validate(
    kind: Type,
    source: Source,
    target: Target,
    extractor: Extractors = None,
    collection: Collections = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """List what stands in the way of such a migration; exit code 1 where something does."""
    shown = showing.output()
    with connection.client() as client:
        found = client.migrations.validate(
            kind.value,
            source,
            target,
            feature_extractors=_extractors(extractor),
            filters=_filters(collection),
        )
    result = found["validation_result"]
    shown.said(found["message"])
    shown.many([*result["errors"], *result["warnings"]], FINDINGS, id_key="error_code")
    raise typer.Exit(ExitCode.OK if result["valid"] else ExitCode.FAILED)


@migrations.command("start")
@spread
def start(
    migration_id: MigrationId, wait: Wait = False, *, connection: Connection, showing: Showing
) -> None:
    """Start a migration, or go on with one that failed or was canceled."""
    with connection.client() as client:
        client.migrations.start(migration_id)
        _conclude(client, connection, migration_id, showing, wait=wait)


@migrations.command("get")
@spread
def get(migration_id: MigrationId, connection: Connection, showing: Showing) -> None:
    """Print a migration, with its stages."""
    shown = showing.output()
    with connection.client() as client:
        migration = client.migrations.get(migration_id)
    shown.one(readable(migration) if shown.is_plain else migration, id_key="migration_id")


@migrations.command("list")
@spread
def list_migrations(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List migrations whose two namespaces the key opens, the newest first."""
    with connection.client() as client:
        found = client.migrations.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="migration_id")


@migrations.command("cancel")
@spread
def cancel(
    migration_id: MigrationId, reason: Reason = None, *, connection: Connection, showing: Showing
) -> None:
    """Ask for the end of a migration; what it wrote stays out of sight."""
    with connection.client() as client:
        showing.output().one(
            client.migrations.cancel(migration_id, reason=reason), id_key="migration_id"
        )


@migrations.command("rollback")
@spread
def roll_back(
    migration_id: MigrationId,
    wait: Wait = False,
    yes: Yes = False,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Delete all that a failed or canceled migration wrote."""
    shown = showing.output()
    confirm(f"Delete what the migration '{migration_id}' wrote?", yes=yes)
    with connection.client() as client:
        task_id = client.migrations.roll_back(migration_id)["task_id"]
        status = _awaited(client, connection, migration_id, task_id) if wait else "PENDING"
        shown.one(client.migrations.get(migration_id), id_key="migration_id")
    raise typer.Exit(of_status(status))


@migrations.command("delete")
@spread
def delete(
    migration_id: MigrationId, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Forget a draft or a migration that has ended; what it made stays."""
    shown = showing.output()
    confirm(f"Delete the migration '{migration_id}'?", yes=yes)
    with connection.client() as client:
        shown.done(client.migrations.delete(migration_id), migration_id)


def readable(migration: Migration) -> dict[str, object]:
    """For people: each stage, and what came too late to go along, in a line of its own."""
    shown: dict[str, object] = dict(migration)
    del shown["progress"]
    for each in migration["progress"]["stages"]:
        done, total = each["items_completed"], each["items_total"]
        shown[each["stage"]] = f"{each['status']}, {done:,} of {total:,}"
    late = (migration["result"] or {}).get("late_changes")
    return shown if late is None else {**shown, "late_changes": late}


def _conclude(
    client: Client, connection: Connection, migration_id: str, showing: Showing, *, wait: bool
) -> None:
    """Prints the migration, once its task has ended where that is to be awaited."""
    migration: Migration = client.migrations.get(migration_id)
    if wait and migration["task_id"] is not None:
        _awaited(client, connection, migration_id, migration["task_id"])
        migration = client.migrations.get(migration_id)
    shown = showing.output()
    shown.one(readable(migration) if shown.is_plain else migration, id_key="migration_id")
    raise typer.Exit(of_status(migration["status"]))


def _awaited(client: Client, connection: Connection, migration_id: str, task_id: str) -> str:
    """The status with which the task ended; it belongs to the source, whatever `-n` says."""
    source = client.migrations.get(migration_id)["namespace_id"]
    with Client(connection.url, connection.key, namespace=source) as there:
        return ended(there, task_id)["status"]


def _extractors(texts: list[str] | None) -> list[dict[str, object]] | None:
    return [object_of(text) for text in texts] if texts else None


def _filters(collection_ids: list[str] | None) -> dict[str, object] | None:
    return {"collection_ids": collection_ids} if collection_ids else None
