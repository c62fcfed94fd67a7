"""`waybill keys`: who may call, and what."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import duration, output
from waybill.cli.argument import KeyId, Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.option import Connection, Showing
from waybill.cli.output import Column, Output
from waybill.cli.spread import spread
from waybill.types import NewKey

keys = typer.Typer(help="API keys; all of it needs the permission admin.", no_args_is_help=True)

COLUMNS: Final = (
    Column("KEY", "key_id", whole=True),
    Column("NAME", "name"),
    Column("PERMISSION", "permission"),
    Column("STATUS", "status", output.status, whole=True),
    Column("SECRET", "prefix", lambda value: f"{value}…" if value else ""),
    Column("NAMESPACES", "namespaces", lambda value: output.plain(value) or "all"),
    Column("LAST USED", "last_used_at", output.age),
    Column("EXPIRES", "expires_at", output.age),
)


class Permission(StrEnum):
    """Each includes those before it."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    ADMIN = "admin"


@keys.command("list")
@spread
def list_keys(
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0: all.")] = 20,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """List keys, the newest first."""
    with connection.client() as client:
        showing.output().many(islice(client.keys.list(), limit or None), COLUMNS, id_key="key_id")


@keys.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.", parser=identifier)],
    permission: Annotated[Permission, typer.Option("--permission", "-p", case_sensitive=False)],
    only: Annotated[
        list[str] | None,
        typer.Option("--for", metavar="NAMESPACE", help="Only this namespace; default: all."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(metavar="DURATION", help="It ends by itself: 30d. Default: never.")
    ] = None,
    rate_limit: Annotated[int | None, typer.Option(min=1, help="Requests a minute.")] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a key. Its secret is shown this once; the server does not keep it."""
    life_s = duration.option(expires_in)
    ends = None if life_s is None else datetime.now(UTC) + timedelta(seconds=life_s)
    with connection.client() as client:
        made = client.keys.create(
            name,
            permission.value,
            namespaces=only or None,
            expires_at=ends.isoformat() if ends else None,
            rate_limit_per_minute=rate_limit,
        )
    _reveal(made, showing.output())


@keys.command("rotate")
@spread
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the old secret works on: 1h, 7d.")
    ] = "0",
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Give a key a new secret, which is shown this once."""
    overlap_s = duration.option(overlap) or 0
    with connection.client() as client:
        made = client.keys.rotate(key_id, overlap_s=int(overlap_s))
    _reveal(made, showing.output())


@keys.command("revoke")
@spread
def revoke(key_id: KeyId, yes: Yes = False, *, connection: Connection, showing: Showing) -> None:
    """End a key for ever."""
    shown = showing.output()
    confirm(f"Revoke the key {key_id}?", yes=yes)
    with connection.client() as client:
        shown.done(client.keys.revoke(key_id), key_id)


def _reveal(made: NewKey, shown: Output) -> None:
    """With --quiet the secret itself, since that is what a script goes on with."""
    if shown.quiet:
        shown.line(made["secret"])
    else:
        shown.one(made, id_key="key_id")
        shown.said("Keep the secret: it is shown this once.")
