"""Entries grouped into requests: few enough, small enough, the same ones every time; pure."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from waybill.cli.importing.journal import BadEntry
from waybill.cli.importing.position import Entry, EntryError, Flaw, JsonObject, Position


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one request has: objects by the API, bytes a quarter of what a server takes
    unless it was told otherwise."""

    objects: int = 1_000
    size_bytes: int = 8 * 1024 * 1024


BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Draft:
    """What one request sends, and the bad entries on the way to its end."""

    begin: Position
    end: Position
    objects: Sequence[JsonObject]
    places: Sequence[str]  # of the objects
    bad: Sequence[BadEntry]
    digest: str

    def request_key(self, import_id: str) -> str:
        """The `Idempotency-Key`: the same for the same content at the same place of an import."""
        named = f"{import_id}\0{self.begin.offset}\0{self.digest}"
        return f"import-{hashlib.blake2b(named.encode(), digest_size=20).hexdigest()}"


class Pile:
    """Collects entries until one more would be too much."""

    def __init__(self, begin: Position, bounds: Bounds) -> None:
        self._bounds = bounds
        self._begin = self._end = begin
        self._objects: list[JsonObject] = []
        self._places: list[str] = []
        self._bad: list[BadEntry] = []
        self._size_bytes = 0
        self._digest = hashlib.blake2b(digest_size=16)

    @property
    def is_empty(self) -> bool:
        return not (self._objects or self._bad)

    def is_beyond(self, offset: int) -> bool:
        """Whether it does not end before the offset, or has nothing yet."""
        return self.is_empty or self._end.offset > offset

    def takes(self, text: bytes) -> bool:
        """Whether there is room for this one; the first always fits."""
        full = self._bounds.objects in (len(self._objects), len(self._bad))
        return self.is_empty or not (full or self._size_bytes + len(text) > self._bounds.size_bytes)

    def add(self, entry: Entry, text: bytes) -> None:
        """One more; `text` is its object as it goes over the wire, empty for a flaw."""
        self._end = entry.end
        if isinstance(entry.found, Flaw):
            self._bad.append(BadEntry(entry.place, entry.found.reason))
            return
        self._objects.append(entry.found)
        self._places.append(entry.place)
        self._size_bytes += len(text)
        self._digest.update(text)
        self._digest.update(b"\n")

    def draft(self) -> Draft:
        """The request of all that was collected."""
        return Draft(
            begin=self._begin,
            end=self._end,
            objects=self._objects,
            places=self._places,
            bad=self._bad,
            digest=self._digest.hexdigest(),
        )


def drafts(
    entries: Iterator[Entry],
    begin: Position,
    *,
    bad_left: int | None,
    sent_to: int = 0,
    bounds: Bounds = BOUNDS,
) -> Iterator[Draft]:
    """The requests in order. Raises `TooManyBadError` where more than `bad_left` entries are bad.

    A request that an earlier run sent up to the offset `sent_to` is made once more as it was,
    whatever the bounds are now, and whatever came after it.
    """
    pile, found_bad = Pile(begin, bounds), 0
    for entry in entries:
        sized, text = _sized(entry)
        if entry.end.offset > sent_to and not (pile.takes(text) and pile.is_beyond(sent_to)):
            draft = pile.draft()
            yield draft
            pile = Pile(draft.end, bounds)
        if isinstance(sized.found, Flaw):
            found_bad += 1
            if bad_left is not None and found_bad > bad_left and entry.end.offset > sent_to:
                if not pile.is_empty:
                    yield pile.draft()
                raise TooManyBadError(BadEntry(sized.place, sized.found.reason))
        pile.add(sized, text)
    if not pile.is_empty:
        yield pile.draft()


class TooManyBadError(Exception):
    """A bad entry more than may come; it was not taken, nor anything after it."""

    def __init__(self, bad: BadEntry) -> None:
        super().__init__(bad.reason)
        self.bad = bad


def _sized(entry: Entry) -> tuple[Entry, bytes]:
    """The entry with the bytes of its object, or with the flaw that keeps it from being sent."""
    if isinstance(entry.found, Flaw):
        return entry, b""
    try:
        return entry, _wire(entry.found)
    except EntryError as exc:
        return Entry(entry.place, entry.end, Flaw(str(exc))), b""


def _wire(found: JsonObject) -> bytes:
    try:
        return json.dumps(
            found, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
    except UnicodeEncodeError as exc:
        raise EntryError("the object holds a lone surrogate, which is no Unicode text") from exc
    except RecursionError as exc:
        raise EntryError("the object is nested too deeply") from exc
