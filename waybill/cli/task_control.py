"""`waybill tasks kill`, `suspend` and `resume`."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import typer

from waybill.cli import duration
from waybill.cli.argument import Reason, TaskId, Yes, identifier
from waybill.cli.command_error import CommandError
from waybill.cli.completion import task_types
from waybill.cli.confirmation import confirm
from waybill.cli.exit_code import ExitCode
from waybill.cli.failure import failure_of
from waybill.cli.following import ended
from waybill.cli.option import Connection, Showing, Status
from waybill.cli.output import Output
from waybill.cli.selection import filters
from waybill.cli.spread import spread
from waybill.client import Client
from waybill.error import ApiError
from waybill.types import TaskAnswer


@dataclass(frozen=True, slots=True)
class Selected:
    """Which tasks are meant where no ids are given: all that is named must hold."""

    status: Annotated[
        Status | None,
        typer.Option(
            case_sensitive=False, metavar="STATUS", help="All open ones with this status."
        ),
    ] = None
    task_type: Annotated[
        str | None,
        typer.Option("--type", help="All open ones of this type.", autocompletion=task_types),
    ] = None
    conditions: Annotated[
        list[str],
        typer.Option(
            "--filter", show_default=False, metavar="FIELD=VALUE", help="All that also fit this."
        ),
    ] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.status or self.task_type or self.conditions)

    def named(self) -> str:
        """The selection in words."""
        said = [f"status {self.status}"] if self.status else []
        said += [f"type {self.task_type}"] if self.task_type else []
        return " and ".join([*said, *self.conditions])

    def filters(self) -> dict[str, object] | None:
        try:
            return filters(self.conditions, now=datetime.now(UTC))
        except ValueError as exc:
            raise typer.BadParameter(f"{exc}.") from exc


@dataclass(frozen=True, slots=True)
class Patience:
    """Whether to wait for the end, and how long."""

    wait: Annotated[bool, typer.Option("--wait", help="Until they have ended.")] = False
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait no longer than this: 90s, 2h.")
    ] = None


def steer(tasks: typer.Typer) -> None:
    """Adds the commands that step in to those that read."""
    for name, command in {"kill": kill, "suspend": suspend, "resume": resume}.items():
        tasks.command(name)(command)


@spread
def kill(
    task_ids: Annotated[list[str] | None, typer.Argument(help="Ids of tasks, tsk_….")] = None,
    reason: Reason = None,
    yes: Yes = False,
    *,
    selected: Selected,
    patience: Patience,
    connection: Connection,
    showing: Showing,
) -> None:
    """End tasks: those with these ids, or all open ones that --status, --type, --filter select."""
    ids = [identifier(text) for text in task_ids or ()]
    if bool(ids) != selected.is_empty:
        raise CommandError(
            "Name the tasks to end, by their ids or by --status, --type and --filter."
        )
    shown, timeout_s = showing.output(), duration.option(patience.timeout)
    if not ids:
        confirm(f"End every open task with {selected.named()}?", yes=yes)
    with connection.client() as client:
        if ids:
            code = _kill_each(client, ids, reason, shown)
        else:
            ids, code = [_kill_selected(client, selected, reason, shown)], ExitCode.OK
        if patience.wait:
            _await_all(client, ids, timeout_s, shown)
    raise typer.Exit(code)


@spread
def suspend(
    task_id: TaskId, reason: Reason = None, *, connection: Connection, showing: Showing
) -> None:
    """Set a task aside: at once where it waits, at its next checkpoint where it runs."""
    with connection.client() as client:
        _answer(client.tasks.suspend(task_id, reason=reason), showing.output())


@spread
def resume(task_id: TaskId, connection: Connection, showing: Showing) -> None:
    """Let a SUSPENDED task go on from its checkpoint."""
    with connection.client() as client:
        _answer(client.tasks.resume(task_id), showing.output())


def _kill_each(client: Client, ids: list[str], reason: str | None, shown: Output) -> ExitCode:
    """Asks for the end of each, whatever becomes of the others."""
    codes = []
    for task_id in ids:
        try:
            _answer(client.tasks.kill(task_id, reason=reason), shown)
        except ApiError as exc:
            failure = failure_of(exc)
            shown.failed(f"{task_id}: {failure.sentence}")
            codes.append(failure.code)
    if not codes:
        return ExitCode.OK
    return codes[0] if len(codes) == len(ids) else ExitCode.FAILED


def _kill_selected(client: Client, selected: Selected, reason: str | None, shown: Output) -> str:
    """The id of the task that ends them."""
    task = client.tasks.kill_many(
        status=selected.status.value if selected.status else None,
        task_type=selected.task_type,
        filters=selected.filters(),
        reason=reason,
    )
    if shown.is_plain:
        shown.line(f"Task {task['task_id']} ends them; `waybill tasks watch` shows how far it is.")
    else:
        shown.one(task, id_key="task_id")
    return task["task_id"]


def _await_all(client: Client, ids: list[str], timeout_s: float | None, shown: Output) -> None:
    """Returns when all have ended; those that are not there are left out."""
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    for task_id in ids:
        left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
        try:
            task = ended(client, task_id, timeout_s=left_s)
        except ApiError as exc:
            if failure_of(exc).code is not ExitCode.NOT_FOUND:
                raise
        else:
            shown.said(f"{task_id}: {task['status']}")


def _answer(answer: TaskAnswer, shown: Output) -> None:
    if shown.is_plain:
        shown.line(f"{answer['task']['task_id']}: {answer['message']}")
    else:
        shown.one(answer["task"], id_key="task_id")
