"""`waybill namespaces`."""

from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import NamespaceName, Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

namespaces = typer.Typer(help="Namespaces keep tenants apart.", no_args_is_help=True)

COLUMNS: Final = (
    Column("NAMESPACE", "namespace_id", whole=True),
    Column("NAME", "namespace_name"),
    Column("DESCRIPTION", "description"),
    Column("CREATED", "created_at", output.age),
)


@namespaces.command("get")
@spread
def get(name: NamespaceName, connection: Connection, showing: Showing) -> None:
    """Print a namespace."""
    with connection.client() as client:
        showing.output().one(client.namespaces.get(name), id_key="namespace_id")


@namespaces.command("list")
@spread
def list_namespaces(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List the namespaces that the key opens, the newest first."""
    with connection.client() as client:
        found = client.namespaces.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="namespace_id")


@namespaces.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="The name to be.", parser=identifier)],
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a namespace."""
    with connection.client() as client:
        made = client.namespaces.create(name, description=description)
        showing.output().one(made, id_key="namespace_id")


@namespaces.command("delete")
@spread
def delete(
    name: NamespaceName, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Delete a namespace, and what is in it by a task of the default namespace."""
    shown = showing.output()
    confirm(f"Delete the namespace '{name}'?", yes=yes)
    with connection.client() as client:
        shown.done(client.namespaces.delete(name), name)
