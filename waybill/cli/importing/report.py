"""How an import is told: a bar while it runs, each bad line as it comes, a sum at the end."""

import json
from collections.abc import Iterable
from pathlib import Path

from waybill.cli.bar import Bar
from waybill.cli.importing.journal import BadEntry
from waybill.cli.importing.position import Position
from waybill.cli.importing.source import Source
from waybill.cli.output import Output


class Report:
    """Told of the course of a run, shows it on stderr. Use it in a `with` block."""

    def __init__(self, source: Source, shown: Output, begin: Position) -> None:
        self._shown = shown
        self._bar: Bar | None = None
        self._unit = source.unit
        if shown.is_live:
            self._bar = Bar(shown.remarks, source.name, source.size())
            self.reached(begin)

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def reached(self, position: Position) -> None:
        """Everything before this place is done."""
        if self._bar is not None:
            self._bar.show(position.offset, f"{position.number:,} {self._unit}")

    def bad(self, entry: BadEntry) -> None:
        """This one became no object."""
        line = f"{entry.place}: {entry.reason}"
        if self._bar is not None:
            self._bar.say(line)
        else:
            self._shown.failed(line)


def write_errors(path: Path, entries: Iterable[BadEntry]) -> None:
    """One JSON object a line for each bad entry."""
    with path.open("w", encoding="utf-8") as file:
        for bad in entries:
            json.dump({"place": bad.place, "reason": bad.reason}, file, ensure_ascii=False)
            file.write("\n")
