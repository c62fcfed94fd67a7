"""`waybill taxonomies`: nodes, and the documents that are assigned to them."""

from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.exit_code import of_status
from waybill.cli.following import ended
from waybill.cli.json_option import object_of
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

taxonomies = typer.Typer(help="Taxonomies assign nodes to documents.", no_args_is_help=True)

COLUMNS: Final = (
    Column("TAXONOMY", "taxonomy_id", whole=True),
    Column("NAME", "taxonomy_name"),
    Column("TYPE", "taxonomy_type"),
    Column("VERSION", "version"),
    Column("CREATED", "created_at", output.age),
)
VERSIONS: Final = (
    Column("VERSION", "version", whole=True),
    Column("TYPE", "taxonomy_type"),
    Column("CREATED", "version_created_at", output.age),
    Column("CONFIG", "config"),
)
MATCHES: Final = (
    Column("DOCUMENT", "document_id", whole=True),
    Column("LABEL", "label"),
    Column("SCORE", "score"),
    Column("PATH", "path", lambda value: _path(value)),
    Column("NODE", "node_id", whole=True),
)

TaxonomyName = Annotated[
    str, typer.Argument(metavar="TAXONOMY", help="Name or id of the taxonomy.", parser=identifier)
]
Version = Annotated[int | None, typer.Option(min=1, help="Default: the newest.")]
ConfigText = Annotated[
    str,
    typer.Option(
        "--config", help='A JSON object, such as {"source_collection": "NAME"}, or @FILE.'
    ),
]


@taxonomies.command("list")
@spread
def list_taxonomies(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List taxonomies, the newest first."""
    with connection.client() as client:
        found = client.taxonomies.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="taxonomy_id")


@taxonomies.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="The name to be.", parser=identifier)],
    config: ConfigText,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a taxonomy; with the name of one that is there, see `versions --config`."""
    with connection.client() as client:
        made = client.taxonomies.create(name, object_of(config), description=description)
        showing.output().one(made, id_key="taxonomy_id")


@taxonomies.command("get")
@spread
def get(
    taxonomy: TaxonomyName, version: Version = None, *, connection: Connection, showing: Showing
) -> None:
    """Print a taxonomy, and where it is materialized."""
    with connection.client() as client:
        found = client.taxonomies.get(taxonomy, version=version)
        showing.output().one(found, id_key="taxonomy_id")


@taxonomies.command("versions")
@spread
def versions(
    taxonomy: TaxonomyName,
    config: Annotated[
        str | None, typer.Option("--config", help="Add one with this configuration first.")
    ] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """List the versions of a taxonomy, the newest first."""
    with connection.client() as client:
        if config is not None:
            client.taxonomies.add_version(taxonomy, object_of(config))
        found = client.taxonomies.versions(taxonomy)["results"]
        showing.output().many(found, VERSIONS, id_key="version")


@taxonomies.command("execute")
@spread
def execute(
    taxonomy: TaxonomyName,
    documents: Annotated[
        list[str], typer.Argument(metavar="DOCUMENT…", help="1 to 5: an id, a JSON object, @FILE.")
    ],
    version: Version = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Show what some documents would be assigned; nothing is stored."""
    items = [object_of(one) if one.startswith(("{", "@")) else one for one in documents]
    with connection.client() as client:
        trial = client.taxonomies.execute(taxonomy, items, version=version)
        showing.output().many(trial["matches"], MATCHES, id_key="node_id")


@taxonomies.command("materialize")
@spread
def materialize(
    taxonomy: TaxonomyName,
    collection: Annotated[
        str, typer.Argument(help="Name or id of the collection.", parser=identifier)
    ],
    target: Annotated[
        str | None, typer.Option(help="A collection for copies; else onto the documents.")
    ] = None,
    version: Version = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until its task has ended.")] = False,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Assign a taxonomy's nodes to a collection's documents, and print the task."""
    with connection.client() as client:
        task = client.taxonomies.materialize(taxonomy, collection, target=target, version=version)
        if wait:
            task = ended(client, task["task_id"])
        showing.output().one(task, id_key="task_id")
    raise typer.Exit(of_status(task["status"]))


@taxonomies.command("delete")
@spread
def delete(
    taxonomy: TaxonomyName, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Delete a taxonomy with all its versions; what it assigned stays."""
    shown = showing.output()
    confirm(f"Delete the taxonomy '{taxonomy}'?", yes=yes)
    with connection.client() as client:
        shown.done(client.taxonomies.delete(taxonomy), taxonomy)


def _path(labels: object) -> str:
    return " / ".join(map(str, labels)) if isinstance(labels, list) else ""
