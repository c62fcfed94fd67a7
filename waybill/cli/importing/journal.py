"""What an import has sent and what was acknowledged, on disk: after SIGKILL the next run knows.

One JSON object a line, each flushed to the disk before what follows it is done. The last line may
be torn: then what it says did not happen yet.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from waybill.cli.command_error import CommandError
from waybill.cli.importing.position import START, JsonObject, Position

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class BadEntry:
    """A line, row or file that became no object."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A chunk up to the offset `end` that is about to be sent.

    `key_mark` tells API keys apart without naming them.
    """

    request_key: str
    end: int
    key_mark: str
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk with its answer: where the source stands after it, and what came of it."""

    end: Position
    object_ids: Sequence[str]
    bad: Sequence[BadEntry]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the journal says all together."""

    import_id: str
    position: Position = START
    stored: int = 0
    bad: int = 0
    intent: Intent | None = None
    batches: int = 0  # made so far
    batch_id: str | None = None  # of what was stored last; null where more was stored since


class Journal:
    """The journal of one import, locked against a second run of it."""

    def __init__(self, path: Path, file: BinaryIO, standing: Standing) -> None:
        self.path = path
        self._file = file
        self.standing = standing

    @classmethod
    def open(cls, path: Path, options: JsonObject, *, restart: bool = False) -> Self:
        """Opens it, or makes it. `options` say how the source is read: they must not change.

        Raises `CommandError` where another run holds it, or it was begun with other options.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if restart:
                file.truncate(0)
            return cls(path, file, _begin(file, options))
        except BlockingIOError as exc:
            file.close()
            raise CommandError("Another run of this import is at work: wait for its end.") from exc
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def intend(self, intent: Intent) -> None:
        """Before a chunk is sent."""
        self._write({"sending": asdict(intent)})

    def withdraw(self) -> None:
        """After the server refused the chunk as a whole."""
        self._write({"withdrawn": True})

    def acknowledge(self, chunk: Chunk) -> None:
        """After its answer came, or nothing of it was to be sent."""
        self._write(
            {
                "end": chunk.end.to_json(),
                "object_ids": list(chunk.object_ids),
                "bad": [asdict(each) for each in chunk.bad],
            }
        )

    def note_batch(self, batch_id: str) -> None:
        """After a batch was made for what was imported."""
        self._write({"batch_id": batch_id})

    def bad_entries(self) -> Iterator[BadEntry]:
        """All of them, of earlier runs too, streamed."""
        for record in _records(self.path):
            for bad in _list(record.get("bad")):
                yield BadEntry(**bad)

    def object_ids(self) -> Iterator[str]:
        """The ids of what was stored since the batch before this one, streamed."""
        before = self.standing.batches - (1 if self.standing.batch_id else 0)
        for record in _records(self.path):
            if "batch_id" in record:
                before -= 1
            elif before == 0:
                yield from _list(record.get("object_ids"))

    def _write(self, record: JsonObject) -> None:
        self.standing = _after(self.standing, record)
        _append(self._file, record)


def journal_path(folder: Path, bucket_id: str, source: Path) -> Path:
    """Where the journal of this source and bucket lies.

    Bucket ids are unique everywhere, and a server may come back under another address.
    """
    name = hashlib.blake2b(f"{bucket_id}\0{source}".encode(), digest_size=16).hexdigest()
    return folder / f"{name}.jsonl"


def _begin(file: BinaryIO, options: JsonObject) -> Standing:
    """Reads what is there, cuts off what is torn, and writes the first line where none is."""
    first: JsonObject = {}
    standing = Standing(secrets.token_hex(16))
    whole = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        record = json.loads(line)
        if first:
            standing = _after(standing, record)
        else:
            first, standing = record, Standing(str(record["import_id"]))
        whole += len(line)
    is_new = standing == Standing(standing.import_id)  # nothing was sent yet
    if not is_new:
        _check(first, options)
    file.seek(0 if is_new else whole)
    file.truncate()
    if is_new:
        _append(file, {"version": VERSION, "import_id": standing.import_id, "options": options})
    return standing


def _check(first: JsonObject, options: JsonObject) -> None:
    if first.get("version") != VERSION or first.get("options") != options:
        raise CommandError(
            "This import was begun with other options: repeat them, or say --restart to import "
            "everything once more."
        )


def _after(standing: Standing, record: JsonObject) -> Standing:
    values = {name: getattr(standing, name) for name in Standing.__dataclass_fields__}
    match record:
        case {"sending": dict(intent)}:
            values["intent"] = Intent(**intent)
        case {"withdrawn": True}:
            values["intent"] = None
        case {"end": dict(end), "object_ids": list(ids), "bad": list(bad)}:
            values["position"] = Position(**end)
            values["stored"] += len(ids)
            values["bad"] += len(bad)
            values["intent"] = values["batch_id"] = None
        case {"batch_id": str(batch_id)}:
            values["batch_id"] = batch_id
            values["batches"] += 1
    return Standing(**values)


def _append(file: BinaryIO, record: JsonObject) -> None:
    file.write(json.dumps(record).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _records(path: Path) -> Iterator[JsonObject]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
