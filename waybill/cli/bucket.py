"""`waybill buckets`."""

from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import BucketName, Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.json_option import object_of
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

buckets = typer.Typer(help="Buckets hold objects.", no_args_is_help=True)

COLUMNS: Final = (
    Column("BUCKET", "bucket_id", whole=True),
    Column("NAME", "bucket_name"),
    Column("OBJECTS", "object_count"),
    Column("BYTES", "total_size_bytes"),
    Column("CREATED", "created_at", output.age),
)


@buckets.command("get")
@spread
def get(bucket: BucketName, connection: Connection, showing: Showing) -> None:
    """Print a bucket."""
    with connection.client() as client:
        showing.output().one(client.buckets.get(bucket), id_key="bucket_id")


@buckets.command("list")
@spread
def list_buckets(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List buckets, the newest first."""
    with connection.client() as client:
        found = client.buckets.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="bucket_id")


@buckets.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="The name to be.", parser=identifier)],
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            "-p",
            metavar="NAME:TYPE[!]",
            help="A property; with ! it is required. Without any, objects have what they like.",
        ),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="The whole bucket_schema instead: JSON, or @FILE.")
    ] = None,
    unique_key: Annotated[
        list[str] | None,
        typer.Option("--unique-key", help="A property that is unique in the bucket."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a bucket."""
    if schema is not None and properties:
        raise typer.BadParameter("--schema and --property say the same thing: take one of them.")
    wanted = object_of(schema) if schema is not None else _schema(properties or [])
    key = {"fields": unique_key} if unique_key else None
    with connection.client() as client:
        made = client.buckets.create(
            name, bucket_schema=wanted, unique_key=key, description=description
        )
        showing.output().one(made, id_key="bucket_id")


@buckets.command("delete")
@spread
def delete(
    bucket: BucketName, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Delete a bucket, and its objects and batches by a task."""
    shown = showing.output()
    confirm(f"Delete the bucket '{bucket}'?", yes=yes)
    with connection.client() as client:
        shown.done(client.buckets.delete(bucket), bucket)


def _schema(properties: list[str]) -> dict[str, object]:
    """The schema of `name:type` texts; a `!` at the end makes one required."""
    made: dict[str, object] = {}
    for text in properties:
        name, sign, kind = text.rpartition(":")
        if not sign or not name or not kind.strip("!"):
            raise typer.BadParameter(
                f"a property reads NAME:TYPE, such as body:text!, not '{text}'."
            )
        made[name] = {"type": kind.removesuffix("!"), "required": kind.endswith("!")}
    return {"properties": made}
