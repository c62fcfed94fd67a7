"""The options that commands share: where the server is, how answers are shown, what is listed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from waybill.cli import selection
from waybill.cli.output import Output
from waybill.client import Client

CONNECTION = "Where the server is"
SHOWN = "How it is shown"
LISTED = "What is listed"


class Status(StrEnum):
    """The one enum of the API, for completion and for a refusal before anything is sent."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    SKIPPED = "SKIPPED"
    UNKNOWN = "UNKNOWN"
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, slots=True)
class Connection:
    """Which server, with which key, in which namespace; what is not said, the client finds."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="URL of the API; default: WAYBILL_URL, else the `waybill up` that runs here.",
            rich_help_panel=CONNECTION,
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="API key; default: WAYBILL_API_KEY, which others on this machine cannot read.",
            rich_help_panel=CONNECTION,
        ),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Id or name; default: WAYBILL_NAMESPACE, else the namespace `default`, or all "
            "where the command says so.",
            rich_help_panel=CONNECTION,
        ),
    ] = None

    def client(self) -> Client:
        """A client to be used in a `with` block."""
        return Client(self.url, self.key, namespace=self.namespace)


@dataclass(frozen=True, slots=True)
class Showing:
    """For people, for scripts, or ids only."""

    as_json: Annotated[
        bool,
        typer.Option("--json", help="The server's JSON, one object a line.", rich_help_panel=SHOWN),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print ids only.", rich_help_panel=SHOWN)
    ] = False

    def output(self) -> Output:
        """Where answers go."""
        if self.as_json and self.quiet:
            raise typer.BadParameter("--json and --quiet say two things: take one of them")
        return Output(as_json=self.as_json, quiet=self.quiet)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which rows: filters that must all hold, and when they were created."""

    filters: Annotated[
        list[str],
        typer.Option(
            "--filter",
            show_default=False,
            metavar="FIELD=VALUE",
            help="Also != > >= < <= and ~ (contains); several must all hold.",
            rich_help_panel=LISTED,
        ),
    ] = field(default_factory=list)
    since: Annotated[
        str | None,
        typer.Option(help="Created since: 2h, 1d12h, or a time.", rich_help_panel=LISTED),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(help="Created until: 2h (ago), or a time.", rich_help_panel=LISTED),
    ] = None

    def conditions(self) -> dict[str, object] | None:
        """The filters as the API takes them."""
        try:
            return selection.filters(
                self.filters, since=self.since, until=self.until, now=datetime.now(UTC)
            )
        except ValueError as exc:
            raise typer.BadParameter(f"{exc}.") from exc


@dataclass(frozen=True, slots=True)
class Listing(Conditions):
    """Which rows of a list, in which order, and how many of them."""

    sort: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD[:asc]", help="Default: created_at:desc.", rich_help_panel=LISTED
        ),
    ] = None
    limit: Annotated[
        int, typer.Option(min=0, help="How many at most; 0: all.", rich_help_panel=LISTED)
    ] = 20

    @property
    def page_size(self) -> int:
        """Rows of one call: no more than are wanted."""
        return min(self.limit or 1_000, 1_000)

    @property
    def most(self) -> int | None:
        """For `islice`: None where all are wanted."""
        return self.limit or None

    def order(self) -> dict[str, object] | None:
        """The order as the API takes it."""
        try:
            return selection.sort(self.sort)
        except ValueError as exc:
            raise typer.BadParameter(f"{exc}.") from exc
