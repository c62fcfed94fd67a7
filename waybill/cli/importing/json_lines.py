"""JSON Lines: each line is an object as the API takes it, or a flat row to be mapped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from waybill.cli.importing.line import Lines
from waybill.cli.importing.position import Entry, EntryError, Flaw, JsonObject, Position
from waybill.cli.importing.row import RowMapper
from waybill.cli.importing.value import from_native, json_value


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A file of one JSON object a line; empty lines are passed over.

    Without a mapper a line is sent as it stands.
    """

    path: Path
    mapper: RowMapper | None = None
    unit: str = "lines"

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        return self.path.stat().st_size

    def entries(self, start: Position) -> Iterator[Entry]:
        with Lines(self.path, start) as lines:
            while True:
                try:
                    line = next(lines)
                    if not line.strip():
                        continue
                    found: JsonObject | Flaw = self._object(line)
                except StopIteration:
                    return
                except EntryError as exc:
                    found = Flaw(str(exc))
                end = lines.position
                yield Entry(f"{self.name}:{end.number}", end, found)

    def _object(self, line: str) -> JsonObject:
        value = json_value(line)
        if not isinstance(value, dict):
            raise EntryError("the line is no JSON object")
        if self.mapper is None:
            return value
        return self.mapper.object_of(value.items(), from_native)
