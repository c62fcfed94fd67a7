"""Parquet, one row group after another; pyarrow reads it where it is installed."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from waybill.cli.command_error import CommandError
from waybill.cli.importing.position import (
    ChangedError,
    Entry,
    EntryError,
    Flaw,
    JsonObject,
    Position,
)
from waybill.cli.importing.row import RowMapper
from waybill.cli.importing.value import from_native

ROWS_AT_ONCE: Final = 500
MISSING: Final = "Parquet files need pyarrow: pip install 'waybill[parquet]'."


@dataclass(frozen=True, slots=True)
class Parquet:
    """A file of rows. It is the same file while its size and time of change are the same."""

    path: Path
    mapper: RowMapper
    unit: str = "rows"

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        with self._open() as file:
            return int(file.metadata.num_rows)

    def entries(self, start: Position) -> Iterator[Entry]:
        digest = self._digest()
        if start.offset and start.digest != digest:
            raise ChangedError(f"{self.name} is not the file that it was")
        with self._open() as file:
            self.mapper.check(list(file.schema_arrow.names))
            for number, row in _rows(file, start.offset):
                end = Position(number, number, digest)
                yield Entry(f"{self.name}:{number}", end, self._found(row))

    def _found(self, row: dict[str, object]) -> JsonObject | Flaw:
        try:
            return self.mapper.object_of(row.items(), from_native)
        except EntryError as exc:
            return Flaw(str(exc))

    def _digest(self) -> str:
        status = self.path.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"

    def _open(self) -> Any:
        try:
            parquet = import_module("pyarrow.parquet")
        except ModuleNotFoundError as exc:
            raise CommandError(MISSING) from exc
        try:
            return parquet.ParquetFile(self.path)
        except ValueError as exc:  # pyarrow's ArrowInvalid is one
            raise CommandError(f"{self.name} is no Parquet file.") from exc


def _rows(file: Any, passed: int) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows after the first `passed` with their numbers from 1; skips whole groups unread."""
    before = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if before + rows > passed:
            number = before
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group]):
                for row in batch.to_pylist():
                    number += 1
                    if number > passed:
                        yield number, row
        before += rows
