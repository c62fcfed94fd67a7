"""`waybill runs`: what ran, how long, and how well."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import duration, output
from waybill.cli.argument import identifier
from waybill.cli.completion import processors
from waybill.cli.option import LISTED, Connection, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

runs = typer.Typer(
    help="What ran, how long, and how well; without a namespace, in all of them.",
    no_args_is_help=True,
)

COLUMNS: Final = (
    Column("RUN", "processing_id", whole=True),
    Column("PROCESSOR", "processor_name"),
    Column("STATUS", "status", output.status, whole=True),
    Column("STARTED", "started_at", output.age),
    Column("TOOK", "duration_s", lambda value: _length(value)),
    Column("IN", "input_rows"),
    Column("OUT", "output_rows"),
    Column("NOTE", "status_note"),
)
DAYS: Final = (
    Column("DAY", "day", whole=True),
    Column("PROCESSOR", "processor_name"),
    Column("RUNS", "runs"),
    Column("RUNNING", "in_progress"),
    Column("FAILED", "failure_rate", lambda value: _share(value)),
    Column("P50", "p50_s", lambda value: _length(value)),
    Column("P95", "p95_s", lambda value: _length(value)),
    Column("MAX", "max_s", lambda value: _length(value)),
    Column("IN", "input_rows"),
    Column("OUT", "output_rows"),
    Column("ROWS/S", "rows_per_second", lambda value: _rate(value)),
)
LONG_S: Final = 120.0  # from here on whole minutes say enough


class RunState(StrEnum):
    """What may have become of a run."""

    IN_PROGRESS = "in-progress"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose runs, and from when."""

    processor: Annotated[
        str | None,
        typer.Option(
            help="Of this processor; of a worker's runs that is the task's type.",
            autocompletion=processors,
            rich_help_panel=LISTED,
        ),
    ] = None
    service: Annotated[
        str | None, typer.Option(help="Of this service.", rich_help_panel=LISTED)
    ] = None
    since: Annotated[
        str | None,
        typer.Option(help="Started since: 2h, 1d12h, or a time.", rich_help_panel=LISTED),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(help="Started before: 2h (ago), or a time.", rich_help_panel=LISTED),
    ] = None

    @property
    def started_since(self) -> datetime | None:
        return _moment(self.since)

    @property
    def started_before(self) -> datetime | None:
        return _moment(self.until)


@runs.command("list")
@spread
def list_runs(
    status: Annotated[
        RunState | None,
        typer.Option(case_sensitive=False, help="Only such runs.", rich_help_panel=LISTED),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="The attempts of this task.", metavar="ID", rich_help_panel=LISTED),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="What was started under it.", rich_help_panel=LISTED)
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="How many at most; 0: all.", rich_help_panel=LISTED)
    ] = 20,
    *,
    chosen: Chosen,
    connection: Connection,
    showing: Showing,
) -> None:
    """List runs, the newest first; `waybill runs show` prints one with its task."""
    with connection.client() as client:
        found = client.runs.list(
            service=chosen.service,
            processor=chosen.processor,
            status=status.value if status else None,
            reference=reference,
            task_id=task,
            since=chosen.started_since,
            until=chosen.started_before,
            page_size=min(limit or 1_000, 1_000),
        )
        showing.output().many(islice(found, limit or None), COLUMNS, id_key="processing_id")


@runs.command("show")
@spread
def show(
    processing_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Id of the run.", parser=identifier)
    ],
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Print a run, with what it was given, and its task as it is now."""
    with connection.client() as client:
        showing.output().one(client.runs.get(processing_id), id_key="processing_id")


@runs.command("stats")
@spread
def stats(*, chosen: Chosen, connection: Connection, showing: Showing) -> None:
    """Sum up each processor's runs, by the day (UTC) they started on: the last seven days."""
    with connection.client() as client:
        found = client.runs.stats(
            service=chosen.service,
            processor=chosen.processor,
            since=chosen.started_since,
            until=chosen.started_before,
        )
    showing.output().many(found["results"], DAYS, id_key="processor_name")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return duration.moment(text, datetime.now(UTC))
    except ValueError as exc:
        raise typer.BadParameter(f"{exc}.") from exc


def _length(value: object) -> str:
    """Seconds, to the millisecond where they are few."""
    if not isinstance(value, int | float):
        return ""
    return duration.shown(value) if value >= LONG_S else f"{value:.3f} s"


def _share(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else ""


def _rate(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, int | float) else ""
