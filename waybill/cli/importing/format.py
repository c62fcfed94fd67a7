"""Which reader a path gets: by what it is, and by the end of its name."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import ExitCode
from waybill.cli.importing.delimited import Delimited
from waybill.cli.importing.folder import Folder, file_property
from waybill.cli.importing.json_lines import JsonLines
from waybill.cli.importing.parquet import Parquet
from waybill.cli.importing.position import JsonObject
from waybill.cli.importing.row import RowMapper
from waybill.cli.importing.rule import Schema
from waybill.cli.importing.source import Source


class Format(StrEnum):
    """What can be imported."""

    FOLDER = "folder"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


SUFFIXES: Final = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a source is read; an import goes on only in the manner in which it began."""

    format: Format
    property: str | None = None
    places: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        return {"format": self.format.value, "property": self.property, "places": self.places}


def format_of(path: Path) -> Format:
    """The format by the path's looks; raises `CommandError` where they say nothing."""
    if not path.exists():
        raise CommandError(f"There is no file or folder {path}.", ExitCode.NOT_FOUND)
    if path.is_dir():
        return Format.FOLDER
    if (found := SUFFIXES.get(path.suffix.lower())) is None:
        known = ", ".join(SUFFIXES)
        raise CommandError(f"{path.name} ends in none of {known}: say --format.")
    return found


def source_of(path: Path, manner: Manner, schema: Schema) -> Source:
    """The reader of the path, for a bucket with this schema. Raises `CommandError`."""
    mapper = RowMapper(schema, manner.places)
    match manner.format:
        case Format.FOLDER:
            return Folder(path, file_property(schema, manner.property), mapper)
        case Format.JSONL:
            return JsonLines(path, mapper if manner.places else None)
        case Format.CSV:
            return Delimited(path, mapper)
        case Format.TSV:
            return Delimited(path, mapper, delimiter="\t")
        case Format.PARQUET:
            return Parquet(path, mapper)
