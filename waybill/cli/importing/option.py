"""The options of `waybill import`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Self

import typer

from waybill.cli.importing.delivery import AfterLoss
from waybill.cli.importing.format import Format, Manner, format_of
from waybill.cli.importing.row import read_places
from waybill.client import Client

READING: Final = "How files are read"
COURSE: Final = "How it goes on"
AFTER: Final = "What follows"


@dataclass(frozen=True, slots=True)
class Reading:
    """How the source becomes objects."""

    format: Annotated[
        Format | None,
        typer.Option(help="Default: by the end of the name.", rich_help_panel=READING),
    ] = None
    property: Annotated[
        str | None,
        typer.Option(
            help="The property that takes the files of a folder.", rich_help_panel=READING
        ),
    ] = None
    places: Annotated[
        list[str],
        typer.Option(
            "--map",
            show_default=False,
            metavar="COLUMN=PROPERTY",
            help="Where a column goes: a property, key_prefix, metadata.NAME, or nowhere (empty).",
            rich_help_panel=READING,
        ),
    ] = field(default_factory=list)

    def manner(self, path: Path) -> Manner:
        return Manner(self.format or format_of(path), self.property, read_places(self.places))


@dataclass(frozen=True, slots=True)
class Course:
    """Whether to go on, and from where."""

    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything, send nothing.", rich_help_panel=COURSE),
    ] = False
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="From the beginning, whatever was imported.", rich_help_panel=COURSE
        ),
    ] = False
    stop_on_error: Annotated[
        bool, typer.Option("--stop-on-error", help="Stop at a bad line.", rich_help_panel=COURSE)
    ] = False
    max_errors: Annotated[
        int | None,
        typer.Option(min=0, help="Stop after so many bad lines.", rich_help_panel=COURSE),
    ] = None
    errors: Annotated[
        Path | None,
        typer.Option(help="Write the bad lines to this file, as JSON.", rich_help_panel=COURSE),
    ] = None
    after_loss: Annotated[
        AfterLoss,
        typer.Option(
            help="What to do with a request of which nobody knows whether it arrived.",
            rich_help_panel=COURSE,
        ),
    ] = AfterLoss.ASK

    @property
    def max_bad(self) -> int | None:
        """None: any number."""
        return 0 if self.stop_on_error else self.max_errors


@dataclass(frozen=True, slots=True)
class Sequel:
    """What is done with what was imported."""

    collections: Annotated[
        list[str],
        typer.Option(
            "--collection",
            show_default=False,
            help="Submit a batch for this collection; several are possible.",
            rich_help_panel=AFTER,
        ),
    ] = field(default_factory=list)
    submit: Annotated[
        bool,
        typer.Option(
            "--submit", help="Submit a batch of what was imported.", rich_help_panel=AFTER
        ),
    ] = False
    wait: Annotated[
        bool, typer.Option("--wait", help="Until that batch has ended.", rich_help_panel=AFTER)
    ] = False

    @property
    def is_wanted(self) -> bool:
        """A word about the batch asks for it."""
        return bool(self.collections) or self.submit or self.wait

    def resolved(self, client: Client) -> Self:
        """The same with the collections' ids; `ApiError` before anything is sent where one is not
        there."""
        ids = [client.collections.get(name)["collection_id"] for name in self.collections]
        return replace(self, collections=ids)
