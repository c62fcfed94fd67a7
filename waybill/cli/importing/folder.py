"""A folder: each file becomes an object, its content the value of one property."""

import base64
import hashlib
import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
from waybill.cli.importing.rule import Schema
from waybill.cli.importing.value import from_text, json_value

MAX_FILE_BYTES: Final = 16 * 1024 * 1024  # above what a server takes as one blob
TEXTS: Final = ("text", "string")
DOCUMENTS: Final = ("json", "object", "array")
COLUMNS: Final = ("path", "name", "stem", "parent", "suffix")


@dataclass(frozen=True, slots=True)
class Folder:
    """Every file below a folder, by its path, as content of the property `target`.

    Hidden ones, whose names begin with a dot, are passed over.

    `mapper` places what a path says (`COLUMNS`) where that was asked for.
    """

    path: Path
    target: str
    mapper: RowMapper
    unit: str = "files"

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        return sum(1 for _ in _files(self.path))

    def entries(self, start: Position) -> Iterator[Entry]:
        self.mapper.check(COLUMNS, mapped_only=True)
        digest = hashlib.blake2b(digest_size=16)
        number = 0
        for number, file in enumerate(_files(self.path), 1):
            digest.update(_mark(self.path, file))
            end = Position(number, number, digest.hexdigest())
            if number > start.offset:
                place = file.relative_to(self.path).as_posix()
                yield Entry(f"{self.name}/{place}", end, self._found(file))
            elif number == start.offset and end.digest != start.digest:
                raise ChangedError(
                    f"the first {number:,} files of {self.name} are not what they were"
                )
        if number < start.offset:
            raise ChangedError(f"{self.name} has fewer files than were imported")

    def _found(self, file: Path) -> JsonObject | Flaw:
        try:
            return self._object(file)
        except EntryError as exc:
            return Flaw(str(exc))
        except OSError as exc:
            return Flaw(f"the file cannot be read: {exc.strerror}")

    def _object(self, file: Path) -> JsonObject:
        type_ = self.mapper.schema.type_of(self.target) or "text"
        relative = file.relative_to(self.path)
        if not relative.as_posix().isprintable():
            raise EntryError("the name is no printable text")
        blob: JsonObject = {"property": self.target, "type": type_, "data": _content(file, type_)}
        said = {
            "path": relative.as_posix(),
            "name": relative.name,
            "stem": relative.stem,
            "parent": relative.parent.name,
            "suffix": relative.suffix,
        }
        asked = [(column, said[column]) for column in self.mapper.places]
        made = self.mapper.object_of(asked, lambda kind, text: from_text(kind, str(text)))
        made.setdefault("key_prefix", relative.as_posix())
        return {**made, "blobs": [blob]}


def file_property(schema: Schema, named: str | None) -> str:
    """The property that gets the files: the named one, else the only one made for files.

    Raises `CommandError` where there is none, or more than one.
    """
    if named is not None:
        type_ = schema.type_of(named)
        if type_ not in ("image", *TEXTS, *DOCUMENTS) and not (type_ is None and schema.is_open):
            raise CommandError(
                f"'{named}' cannot take files: --property names one of type image, text, string or "
                f"json among the bucket's {schema.named()}."
            )
        return named
    fit = [name for name, rule in schema.rules.items() if rule.type in ("image", "text")]
    if len(fit) != 1:
        which = f"among {', '.join(fit)}" if fit else "of type image or text"
        raise CommandError(f"Name the property {which} that takes the files: --property NAME.")
    return fit[0]


def _content(file: Path, type_: str) -> object:
    if file.stat().st_size > MAX_FILE_BYTES:
        raise EntryError(f"the file is larger than {MAX_FILE_BYTES:,} bytes")
    if type_ == "image":
        kind, _ = mimetypes.guess_type(file.name)
        if kind is None or not kind.startswith("image/"):
            raise EntryError("the file is no image by its name")
        return base64.b64encode(file.read_bytes()).decode()
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise EntryError("the file is no UTF-8 text") from exc
    return json_value(text) if type_ in DOCUMENTS else text


def _files(root: Path) -> Iterator[Path]:
    """The files in the order of their paths; it is the same whenever the folder is."""
    for folder, folders, files in os.walk(root, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                yield path


def _raise(error: OSError) -> None:
    """A folder that cannot be listed is told: its files would be missing without a word."""
    raise error


def _mark(root: Path, file: Path) -> bytes:
    """What tells whether a file is the one that it was."""
    status = file.stat()
    name = os.fsencode(file.relative_to(root))
    return name + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode()
