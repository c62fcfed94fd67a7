"""`waybill batches`: objects on their way to documents."""

from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import BatchId, CallbackUrl, Reason, identifier
from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import of_status
from waybill.cli.following import Following, ended
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column, Output
from waybill.cli.spread import spread
from waybill.client import Client
from waybill.types import Task

batches = typer.Typer(help="Read, submit and retry batches.", no_args_is_help=True)

COLUMNS: Final = (
    Column("BATCH", "batch_id", whole=True),
    Column("NAME", "batch_name"),
    Column("STATUS", "status", output.status, whole=True),
    Column("OBJECTS", "object_count"),
    Column("PROGRESS", "progress", output.progress),
    Column("FAILED", "failed_object_count"),
    Column("CREATED", "created_at", output.age),
)
FAILURES: Final = (
    Column("OBJECT", "object_id", whole=True),
    Column("COLLECTION", "collection_id"),
    Column("ERROR", "error_type"),
    Column("REASON", "reason"),
)


@batches.command("get")
@spread
def get(batch_id: BatchId, connection: Connection, showing: Showing) -> None:
    """Print a batch."""
    with connection.client() as client:
        showing.output().one(client.batches.get(batch_id), id_key="batch_id")


@batches.command("list")
@spread
def list_batches(
    bucket: Annotated[
        str, typer.Option("--bucket", "-b", help="Name or id of the bucket.", parser=identifier)
    ],
    listing: Listing,
    connection: Connection,
    showing: Showing,
) -> None:
    """List the batches of a bucket, the newest first."""
    with connection.client() as client:
        found = client.batches.list(
            bucket,
            filters=listing.conditions(),
            sort=listing.order(),
            page_size=listing.page_size,
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="batch_id")


@batches.command("submit")
@spread
def submit(
    batch_id: BatchId,
    wait: Annotated[bool, typer.Option("--wait", help="Until its task has ended.")] = False,
    webhook_url: CallbackUrl = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Submit a batch, and print its task; a second time gives the same task."""
    with connection.client() as client:
        bucket = _bucket_of(client, batch_id)
        task = client.batches.submit(bucket, batch_id, webhook_url=webhook_url)
        _conclude(client, task, showing.output(), wait=wait)


@batches.command("retry")
@spread
def retry(
    batch_id: BatchId,
    wait: Annotated[bool, typer.Option("--wait", help="Until its task has ended.")] = False,
    webhook_url: CallbackUrl = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Submit a batch that has ended once more, and print its new task."""
    with connection.client() as client:
        bucket = _bucket_of(client, batch_id)
        task = client.batches.retry(bucket, batch_id, webhook_url=webhook_url)
        _conclude(client, task, showing.output(), wait=wait)


@batches.command("cancel")
@spread
def cancel(
    batch_id: BatchId, reason: Reason = None, *, connection: Connection, showing: Showing
) -> None:
    """Ask for the end of a batch's task, and print it."""
    with connection.client() as client:
        task = client.batches.cancel(_bucket_of(client, batch_id), batch_id, reason=reason)
        showing.output().one(task, id_key="task_id")


@batches.command("failed")
@spread
def failed(
    batch_id: BatchId,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0: all.")] = 20,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """List the objects of a batch that became no document, each with its reason."""
    with connection.client() as client:
        found = client.batches.failed_documents(_bucket_of(client, batch_id), batch_id)
        showing.output().many(islice(found, limit or None), FAILURES, id_key="object_id")


@batches.command("watch")
@spread
def watch(batch_id: BatchId, connection: Connection, showing: Showing) -> None:
    """Show what a batch's task does until it has ended; Ctrl-C ends the watching only."""
    shown = showing.output()
    with connection.client() as client:
        task_id = client.batches.get(batch_id)["task_id"]
        if task_id is None:
            raise CommandError(
                f"The batch is a DRAFT: submit it with `waybill batches submit {batch_id}`."
            )
        try:
            task = Following(client, shown).to_the_end(task_id)
        except KeyboardInterrupt:
            shown.said(f"The batch goes on; `waybill batches cancel {batch_id}` ends it.")
            raise
    raise typer.Exit(of_status(task["status"]))


def _bucket_of(client: Client, batch_id: str) -> str:
    return client.batches.get(batch_id)["bucket_id"]


def _conclude(client: Client, task: Task, shown: Output, *, wait: bool) -> None:
    """Prints the task, once it has ended where that is to be awaited."""
    if wait:
        task = ended(client, task["task_id"])
    shown.one(task, id_key="task_id")
    raise typer.Exit(of_status(task["status"]))
