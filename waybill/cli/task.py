"""`waybill tasks`: read, list, submit and await."""

from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import duration, output
from waybill.cli.argument import CallbackUrl, TaskId
from waybill.cli.completion import task_types
from waybill.cli.exit_code import of_status
from waybill.cli.following import Following, ended
from waybill.cli.json_option import json_of, object_of
from waybill.cli.option import Connection, Listing, Showing, Status
from waybill.cli.output import Column
from waybill.cli.spread import spread

tasks = typer.Typer(help="Read, list, watch and steer tasks.", no_args_is_help=True)

COLUMNS: Final = (
    Column("TASK", "task_id", whole=True),
    Column("TYPE", "task_type"),
    Column("STATUS", "status", output.status, whole=True),
    Column("PROGRESS", "progress", output.progress),
    Column("CREATED", "created_at", output.age),
    Column("ENDED", "ended_at", output.age),
    Column("ERROR", "error_message"),
)
STEPS: Final = (
    Column("SEQ", "seq"),
    Column("FROM", "from", output.status),
    Column("TO", "to", output.status),
    Column("AT", "at", output.local),
    Column("ACTOR", "actor"),
    Column("ATTEMPT", "attempt"),
    Column("WORKER", "worker"),
    Column("REASON", "reason"),
)


@tasks.command("get")
@spread
def get(task_id: TaskId, connection: Connection, showing: Showing) -> None:
    """Print the receipt of a task."""
    with connection.client() as client:
        showing.output().one(client.tasks.get(task_id), id_key="task_id")


@tasks.command("list")
@spread
def list_tasks(
    status: Annotated[
        Status | None,
        typer.Option(case_sensitive=False, metavar="STATUS", help="Only tasks with this status."),
    ] = None,
    task_type: Annotated[
        str | None,
        typer.Option("--type", help="Only tasks of this type.", autocompletion=task_types),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="The parts of this task, which are not listed otherwise.")
    ] = None,
    *,
    listing: Listing,
    connection: Connection,
    showing: Showing,
) -> None:
    """List tasks, the newest first."""
    with connection.client() as client:
        found = client.tasks.list(
            status=status.value if status else None,
            task_type=task_type,
            parent_task_id=parent,
            filters=listing.conditions(),
            sort=listing.order(),
            page_size=listing.page_size,
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="task_id")


@tasks.command("history")
@spread
def history(task_id: TaskId, connection: Connection, showing: Showing) -> None:
    """Print every transition of a task: when, by whom, and why."""
    with connection.client() as client:
        showing.output().many(client.tasks.history(task_id), STEPS, id_key="seq")


@tasks.command("submit")
@spread
def submit(
    task_type: Annotated[str, typer.Argument(help="A registered type.", autocompletion=task_types)],
    inputs: Annotated[
        list[str] | None, typer.Argument(help="Inputs of the job: JSON, or else text.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="additional_data: a JSON object, or @FILE.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    webhook_url: CallbackUrl = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Submit a task of a registered type."""
    values = [_input(text) for text in inputs or ()]
    more = object_of(data) if data is not None else None
    with connection.client() as client:
        task = client.tasks.submit(task_type, values, additional_data=more, webhook_url=webhook_url)
        if wait:
            task = ended(client, task["task_id"])
        showing.output().one(task, id_key="task_id")
    raise typer.Exit(of_status(task["status"]))


@tasks.command("wait")
@spread
def wait(
    task_id: TaskId,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Give up after this time: 90s, 2h.")
    ] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Wait until a task has ended, and print its receipt."""
    timeout_s = duration.option(timeout)
    with connection.client() as client:
        task = ended(client, task_id, timeout_s=timeout_s)
    showing.output().one(task, id_key="task_id")
    raise typer.Exit(of_status(task["status"]))


@tasks.command("watch")
@spread
def watch(task_id: TaskId, connection: Connection, showing: Showing) -> None:
    """Show what a task does until it has ended; Ctrl-C ends the watching, not the task."""
    shown = showing.output()
    with connection.client() as client:
        try:
            task = Following(client, shown).to_the_end(task_id)
        except KeyboardInterrupt:
            shown.said(f"The task goes on; `waybill tasks kill {task_id}` ends it.")
            raise
    raise typer.Exit(of_status(task["status"]))


@tasks.command("callback")
@spread
def callback(
    task_id: TaskId,
    replay: Annotated[bool, typer.Option("--replay", help="Send it again.")] = False,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Print what the --webhook-url of a task was sent, with all attempts."""
    with connection.client() as client:
        ask = client.tasks.replay_callback if replay else client.tasks.callback
        showing.output().one(ask(task_id), id_key="delivery_id")


def _input(text: str) -> object:
    try:
        return json_of(text)
    except typer.BadParameter:
        if text.startswith("@"):
            raise
        return text
