"""`waybill health`."""

from typing import Final

import typer

from waybill.cli import output
from waybill.cli.exit_code import ExitCode
from waybill.cli.option import Connection, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

COLUMNS: Final = (
    Column("PART", "name"),
    Column("STATUS", "status", output.status, whole=True),
    Column("DETAIL", "detail"),
)


@spread
def health(connection: Connection, showing: Showing) -> None:
    """Print how the server and its parts are; exit code 6 when not all of it is OK."""
    shown = showing.output()
    with connection.client() as client:
        found = client.health()
    if shown.as_json:
        shown.one(found, id_key="status")
    elif shown.quiet:
        shown.line(found["status"])
    else:
        parts = [{"name": name, **part} for name, part in found["components"].items()]
        shown.many(parts, COLUMNS, id_key="name")
    raise typer.Exit(ExitCode.OK if found["status"] == "OK" else ExitCode.UNAVAILABLE)
