"""Stored objects with the contents that extractors read, in slices.

Contents that lie elsewhere are read side by side; the order of the objects stays.
"""

import asyncio
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.database import Document
from app.errors import PermanentError, TransientError
from app.fetch.reader import ContentReader
from app.resources.content import decode_file
from app.resources.extraction import FailedDocument, Found
from app.resources.property import PropertyType
from app.resources.schema import BucketSchema, violations

# What one worker process holds of a batch at once: a page of stored objects, and of the contents
# that lie elsewhere these bytes. The objects that are read side by side may exceed them together:
# each has been begun below the bound, and ends above its own by one content at most.
SLICE_BYTES: Final = 16 * 1024 * 1024
OBJECT_BYTES: Final = 32 * 1024 * 1024
SIDE_BY_SIDE: Final = 16

SCHEMA_VIOLATION: Final = "schema_violation"
UNREADABLE: Final = "unreadable"
UNAVAILABLE: Final = "unavailable"
DELETED: Final = "deleted"
GONE: Final = "the object was deleted after it was added to the batch"
TOO_MUCH: Final = (
    f"the object's other contents from elsewhere already have the {OBJECT_BYTES} bytes that they "
    "may have together"
)


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a content could not be read."""

    error_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedObject:
    """A valid object with the content that stages read; `lacks` has what could not be read.

    `read_bytes` is the size of what was read from elsewhere.
    """

    object_id: str
    fields: Mapping[str, object]
    metadata: Mapping[str, object]
    values: Mapping[str, object]
    lacks: Mapping[str, Lack]
    read_bytes: int = 0


Loaded = LoadedObject | FailedDocument


class Loader:
    """Validates objects and reads the named properties of those that are in order."""

    def __init__(
        self,
        schema: BucketSchema,
        properties: Collection[str],
        reader: ContentReader,
        *,
        is_last_attempt: bool,
    ) -> None:
        """On the last attempt, what cannot be read for the moment fails its object alone."""
        self._schema = schema
        self._properties = properties
        self._reader = reader
        self._is_last_attempt = is_last_attempt

    def slices(self, pages: Iterable[Sequence[Found]]) -> Generator[list[Loaded], None, None]:
        """Every object, in order, with its content or why there is none; no slice is empty.

        Raises `TransientError` when a content cannot be read for the moment. To be closed: it
        holds connections.
        """
        with asyncio.Runner() as runner:
            try:
                for page in pages:
                    rest = page
                    while rest:
                        loaded = runner.run(self._load(rest))
                        yield loaded
                        rest = rest[len(loaded) :]
            finally:
                runner.run(self._reader.close())

    async def _load(self, page: Sequence[Found]) -> list[Loaded]:
        """The first objects of the page, as many as the bound of bytes lets begin, at least one."""
        gate = asyncio.Semaphore(SIDE_BY_SIDE)
        held_bytes = 0

        async def load(object_id: str, stored: Document | None) -> Loaded:
            nonlocal held_bytes
            try:
                loaded = await self._loaded(object_id, stored)
                held_bytes += loaded.read_bytes if isinstance(loaded, LoadedObject) else 0
                return loaded
            finally:
                gate.release()

        begun: list[asyncio.Task[Loaded]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for found in page:
                    await gate.acquire()
                    if held_bytes >= SLICE_BYTES:
                        break
                    begun.append(group.create_task(load(*found)))
        except ExceptionGroup as exc:
            raise exc.exceptions[0] from exc
        return [task.result() for task in begun]

    async def _loaded(self, object_id: str, stored: Document | None) -> Loaded:
        if stored is None:
            return FailedDocument(object_id, None, DELETED, GONE)
        fields = stored["fields"]
        problems = violations(self._schema, fields, [_as_sent(blob) for blob in stored["blobs"]])
        if problems:
            reason = "; ".join(problem.message for problem in problems)
            return FailedDocument(object_id, None, SCHEMA_VIOLATION, reason)
        values = {name: value for name, value in fields.items() if name in self._properties}
        contents = _Contents(values)
        for blob in stored["blobs"]:
            if blob["property"] in self._properties:
                await self._add(blob, contents)
        return LoadedObject(
            object_id, fields, stored["metadata"], values, contents.lacks, contents.read_bytes
        )

    async def _add(self, blob: Document, contents: "_Contents") -> None:
        name, url = blob["property"], blob.get("url")
        if url is None:
            contents.values[name] = blob["data"]
            return
        if contents.read_bytes >= OBJECT_BYTES:
            contents.lacks[name] = Lack(UNREADABLE, TOO_MUCH)
            return
        try:
            content = await self._reader.read(url)
            contents.values[name] = decode_file(PropertyType(blob["type"]), content)
            contents.read_bytes += len(content)
        except PermanentError as exc:
            contents.lacks[name] = Lack(UNREADABLE, str(exc))
        except TransientError as exc:
            if not self._is_last_attempt:
                raise
            contents.lacks[name] = Lack(UNAVAILABLE, str(exc))


@dataclass(slots=True)
class _Contents:
    """What was gathered of one object so far."""

    values: dict[str, object]
    lacks: dict[str, Lack] = field(default_factory=dict)
    read_bytes: int = 0


def _as_sent(blob: Document) -> Document:
    """The blob as a request brings it: an image was decoded to bytes when it was stored."""
    return {**blob, "data": ""} if isinstance(blob.get("data"), bytes) else blob
