"""Answers on the terminal: tables for people, JSON for scripts, or ids only."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from waybill.cli import duration

Row = Mapping[str, object]

WIDE: Final = 10_000  # columns: where nobody's terminal ends, nothing is cut
LONGEST_VALUE: Final = 400  # characters of one value; --json has all of it

COLOURS: Final = {
    "COMPLETED": "green",
    "ACTIVE": "green",
    "OK": "green",
    "FAILED": "red",
    "DEGRADED": "red",
    "CANCELED": "yellow",
    "SUSPENDED": "yellow",
    "UNKNOWN": "yellow",
    "PROCESSING": "cyan",
    "IN_PROGRESS": "cyan",
    "success": "green",
    "failure": "red",
    "in-progress": "cyan",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its title, the key of its value, and how that is shown."""

    title: str
    key: str
    shown: Callable[[object], str | Text] = field(default=lambda value: plain(value))
    whole: bool = False  # never cut, as ids, which are there to be copied


@dataclass(frozen=True)
class Output:
    """Writes answers to stdout in the one form that was asked for, and remarks to stderr."""

    as_json: bool = False
    quiet: bool = False

    def one(self, row: Row, *, id_key: str) -> None:
        """A single thing with all its fields."""
        if self.as_json:
            self._json(row)
        elif self.quiet:
            self.line(str(row[id_key]))
        else:
            self._details(row)

    def many(self, rows: Iterable[Row], columns: Sequence[Column], *, id_key: str) -> None:
        """A list: a table, one JSON object a line as they come, or one id a line."""
        if self.as_json:
            for row in rows:
                self._json(row)
        elif self.quiet:
            for row in rows:
                self.line(str(row[id_key]))
        else:
            self._table(rows, columns)

    def done(self, answer: Row, identifier: str) -> None:
        """Something was done to what the identifier names; the answer's message says what."""
        if self.as_json:
            self._json(answer)
        else:
            said = str(answer.get("message") or "Done").removesuffix(".")
            self.line(identifier if self.quiet else f"{said}.")

    def event(self, event: Row) -> None:
        """One JSON object that has no id: something that happened, or a sum."""
        self._json(event)

    def said(self, sentence: str) -> None:
        """A remark for people; scripts that read JSON or ids don't get it."""
        if self.is_plain:
            self.remarks.print(Text(sentence), soft_wrap=True)

    def failed(self, sentence: str) -> None:
        """What went wrong with one of several, on stderr, whoever reads the rest."""
        self.remarks.print(Text(sentence, style="red"), soft_wrap=True)

    @property
    def is_plain(self) -> bool:
        """Whether sentences are what is wanted."""
        return not (self.as_json or self.quiet)

    @cached_property
    def screen(self) -> Console:
        """stdout. Where that is no terminal there are no colours, and lines end with the text."""
        return Console(width=None if sys.stdout.isatty() else WIDE)

    @cached_property
    def remarks(self) -> Console:
        """stderr."""
        return Console(stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether somebody looks who likes bars that move."""
        return self.remarks.is_terminal and self.is_plain

    def _table(self, rows: Iterable[Row], columns: Sequence[Column]) -> None:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            # Where it is too wide, rich takes from the columns that may wrap: never from ids.
            table.add_column(_cell(column.title), no_wrap=column.whole)
        for row in rows:
            table.add_row(*(_cell(column.shown(row.get(column.key))) for column in columns))
        if table.row_count:
            self._print(table)
        else:
            self.said("Nothing found.")

    def _details(self, row: Row) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for key, value in row.items():
            if value is not None and value != {} and value != []:
                table.add_row(_cell(key), _cell(_detail(key, value), is_line=False))
        self._print(table)

    def _print(self, table: Table) -> None:
        if self.screen.is_terminal:
            self.screen.print(table, highlight=False)
            return
        with self.screen.capture() as capture:
            self.screen.print(table, highlight=False)
        for line in capture.get().splitlines():
            self.line(line.rstrip())

    def _json(self, row: Row) -> None:
        self.line(json.dumps(row, ensure_ascii=False))

    def line(self, text: str) -> None:
        """A line of the answer."""
        # A reader that went away (`| head`) is noticed here, not at the end.
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def plain(value: object) -> str:
    """A value in one line: nothing for null, JSON for what is no text or number."""
    match value:
        case None:
            return ""
        case str():
            text = value
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}"
        case float():
            text = f"{value:,.6g}"
        case _:
            text = json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… (--json has all)"


def status(value: object) -> Text:
    """A status in its colour."""
    text = plain(value)
    return Text(text, style=COLOURS.get(text, ""))


def age(value: object) -> str:
    """A time as `12 min ago`, or `in 3 days`; nothing for null."""
    if not isinstance(value, str):
        return ""
    passed_s = (datetime.now(UTC) - datetime.fromisoformat(value)).total_seconds()
    if passed_s < -1:
        return f"in {duration.shown(-passed_s)}"
    return f"{duration.shown(max(passed_s, 0.0))} ago"


def progress(value: object) -> str:
    """`40 % (400 of 1,000, 52/s)` of a receipt's or a batch's progress; nothing for null."""
    if not isinstance(value, Mapping):
        return ""
    done = value.get("done", value.get("processed"))
    total, percent = value.get("total"), value.get("percent")
    rate = value.get("rate", value.get("items_per_second"))
    counted = plain(done) if total is None else f"{plain(done)} of {plain(total)}"
    if isinstance(rate, int | float) and rate and done != total:
        counted += f", {rate:,.0f}/s"
    return counted if percent is None else f"{percent:.0f} % ({counted})"


def member(value: object, key: str) -> str:
    """One member of an object; nothing where it is none."""
    return plain(value.get(key)) if isinstance(value, Mapping) else ""


def _cell(shown: str | Text, *, is_line: bool = True) -> Text:
    """What a server says is text, whatever marks it has: `[red]` is no colour, `:100:` no emoji."""
    cell = shown if isinstance(shown, Text) else Text(shown)
    if is_line:
        cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell


def _detail(key: str, value: object) -> str | Text:
    if key == "status":
        return status(value)
    if key == "progress":
        return progress(value)
    if key.endswith("_at") and isinstance(value, str):
        local = datetime.fromisoformat(value).astimezone()
        return f"{local.isoformat(sep=' ', timespec='seconds')} ({age(value)})"
    return plain(value)


def local(value: object) -> str:
    """A time by the clock on the wall, to the millisecond; nothing for null."""
    if not isinstance(value, str):
        return ""
    at = datetime.fromisoformat(value).astimezone()
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
