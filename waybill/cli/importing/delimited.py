"""CSV and TSV: a header, then rows whose cells are typed by the bucket's schema."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from waybill.cli.command_error import CommandError
from waybill.cli.importing.line import Lines
from waybill.cli.importing.position import START, Entry, EntryError, Flaw, JsonObject, Position
from waybill.cli.importing.row import RowMapper
from waybill.cli.importing.value import from_text

MAX_CELL_CHARS: Final = 16 * 1024 * 1024  # Python's own limit is 128 KiB, too little for a text


@dataclass(frozen=True, slots=True)
class Delimited:
    """A file whose first line names the columns. A quoted cell may go over several lines."""

    path: Path
    mapper: RowMapper
    delimiter: str = ","
    unit: str = "lines"

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        return self.path.stat().st_size

    def entries(self, start: Position) -> Iterator[Entry]:
        csv.field_size_limit(MAX_CELL_CHARS)
        columns, after = self._header()
        self.mapper.check(columns)
        with Lines(self.path, start if start.offset else after) as lines:
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            while True:
                first = lines.position.number + 1
                try:
                    cells = next(reader)
                    if not cells:
                        continue
                    found: JsonObject | Flaw = self._object(columns, cells)
                except StopIteration:
                    return
                except (EntryError, csv.Error) as exc:
                    found = Flaw(str(exc))
                yield Entry(f"{self.name}:{first}", lines.position, found)

    def _header(self) -> tuple[list[str], Position]:
        with Lines(self.path, START) as lines:
            try:
                columns = next(csv.reader(lines, delimiter=self.delimiter, strict=True))
            except StopIteration:
                raise CommandError(
                    f"{self.name} is empty: its first line names the columns."
                ) from None
            except (EntryError, csv.Error) as exc:
                raise CommandError(f"The header of {self.name} cannot be read: {exc}.") from exc
            return [column.strip() for column in columns], lines.position

    def _object(self, columns: list[str], cells: list[str]) -> JsonObject:
        if len(cells) != len(columns):
            raise EntryError(f"the row has {len(cells)} cells, the header {len(columns)}")
        return self.mapper.object_of(zip(columns, cells, strict=True), _typed)


def _typed(type_: str | None, cell: object) -> object:
    return from_text(type_, str(cell))
