"""`waybill collections`."""

from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import CollectionName, Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.json_option import object_of
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

collections = typer.Typer(help="Collections make documents of objects.", no_args_is_help=True)

COLUMNS: Final = (
    Column("COLLECTION", "collection_id", whole=True),
    Column("NAME", "collection_name"),
    Column("EXTRACTOR", "feature_extractor", lambda value: output.member(value, EXTRACTOR)),
    Column("DOCUMENTS", "document_count"),
    Column("CREATED", "created_at", output.age),
)
DOCUMENTS: Final = (
    Column("DOCUMENT", "document_id", whole=True),
    Column("OBJECT", "object_id"),
    Column("CREATED", "created_at", output.age),
)
EXTRACTOR: Final = "feature_extractor_name"


@collections.command("get")
@spread
def get(collection: CollectionName, connection: Connection, showing: Showing) -> None:
    """Print a collection."""
    with connection.client() as client:
        showing.output().one(client.collections.get(collection), id_key="collection_id")


@collections.command("list")
@spread
def list_collections(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List collections, the newest first."""
    with connection.client() as client:
        found = client.collections.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="collection_id")


@collections.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="The name to be.", parser=identifier)],
    bucket: Annotated[
        list[str], typer.Option("--bucket", "-b", help="A bucket that it reads, by name or id.")
    ],
    extractor: Annotated[
        str, typer.Option("--extractor", "-e", help="text, image, tabular, or one of your own.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="INPUT=PROPERTY", help="What an input reads."),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(help="How the extractor is set: a JSON object, or @FILE.")
    ] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a collection."""
    feature_extractor: dict[str, object] = {
        "feature_extractor_name": extractor,
        "parameters": object_of(parameters) if parameters is not None else {},
        "input_mappings": _mappings(inputs or []),
    }
    with connection.client() as client:
        made = client.collections.create(
            name, bucket_ids=bucket, feature_extractor=feature_extractor
        )
        showing.output().one(made, id_key="collection_id")


@collections.command("documents")
@spread
def documents(
    collection: CollectionName, listing: Listing, connection: Connection, showing: Showing
) -> None:
    """List the documents of a collection, the newest first."""
    with connection.client() as client:
        found = client.documents.list(
            collection,
            filters=listing.conditions(),
            sort=listing.order(),
            page_size=listing.page_size,
        )
        showing.output().many(islice(found, listing.most), DOCUMENTS, id_key="document_id")


@collections.command("delete")
@spread
def delete(
    collection: CollectionName, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Delete a collection that holds no documents."""
    shown = showing.output()
    confirm(f"Delete the collection '{collection}'?", yes=yes)
    with connection.client() as client:
        shown.done(client.collections.delete(collection), collection)


def _mappings(texts: list[str]) -> dict[str, object]:
    made: dict[str, object] = {}
    for text in texts:
        name, sign, source = text.partition("=")
        if not (name and sign and source):
            raise typer.BadParameter(f"an input reads INPUT=PROPERTY, not '{text}'.")
        made[name] = source
    return made
