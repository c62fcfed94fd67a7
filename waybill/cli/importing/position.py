"""Where the reading of a source stands, and what was found there."""

from dataclasses import dataclass
from typing import Final

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two entries of a source.

    `offset` counts in the source's own unit (bytes, rows, files), `number` is that of the last
    line, row or file before it, and `digest` stands for all that lies before: while it is the
    same, reading may go on from here.
    """

    offset: int
    number: int
    digest: str

    def to_json(self) -> JsonObject:
        return {"offset": self.offset, "number": self.number, "digest": self.digest}


START: Final = Position(0, 0, "")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an entry cannot be an object."""

    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, row or file: the object that it says, or what is wrong with it.

    `place` is for people (`people.csv:17`); `end` is the position after it.
    """

    place: str
    end: Position
    found: JsonObject | Flaw


class EntryError(ValueError):
    """One entry cannot be an object; `str(error)` continues "people.csv:17: …"."""


class ChangedError(Exception):
    """What was imported is not there any more as it was; `str(error)` is a sentence."""
