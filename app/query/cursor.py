"""Keyset cursors: where a page ended, so that the next one begins right after it.

A cursor names the order, the value and the id of the last row and a digest of what was asked;
it never counts rows, so pages stay whole while rows are written, at the same cost at any depth.
"""

import base64
import binascii
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from app.database import Document
from app.errors import InvalidError
from app.query.field import Field, Kind, Location
from app.query.value import INT64, Scalar

MAX_CURSOR: Final = 4_096  # characters
LOCATION: Final[Location] = ("query", "cursor")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Direction(StrEnum):
    """Which way a list runs."""

    ASC = "asc"
    DESC = "desc"

    @property
    def sign(self) -> int:
        """MongoDB's number for it."""
        return 1 if self is Direction.ASC else -1


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of a list, by a field's public name; ties run by id, the same way."""

    field: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row that was read: its value in the order's field, and its id."""

    value: Scalar
    row_id: str


def digest(*asked: object) -> str:
    """What a cursor belongs to: equal for the same scope, filters and order."""
    canonical = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.blake2b(canonical.encode(), digest_size=9).hexdigest()


def write_cursor(cursor: Cursor, asked: str) -> str:
    """The opaque text that `read_cursor` reads."""
    value = cursor.value
    if isinstance(value, datetime):
        value = (value - EPOCH) // timedelta(milliseconds=1)
    text = json.dumps([asked, value, cursor.row_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, asked: str, field: Field) -> Cursor:
    """The cursor, or `InvalidError` when it is damaged or belongs to another list."""
    try:
        padded = text[:MAX_CURSOR] + "=" * (-len(text) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        found, value, row_id = parts
        cursor = Cursor(_value(value, field.kind), _text(row_id))
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as exc:
        message = "this is not a cursor: take next_cursor of the page before"
        raise InvalidError.at(*LOCATION, message=message) from exc
    if found != asked:
        message = "this cursor belongs to other filters or another order: begin without one"
        raise InvalidError.at(*LOCATION, message=message)
    return cursor


def _value(value: object, kind: Kind) -> Scalar:
    match kind, value:
        case _, None:
            return None
        case Kind.DATETIME, int() if not isinstance(value, bool):
            return EPOCH + timedelta(milliseconds=value)
        case Kind.NUMBER, int() if not isinstance(value, bool) and -INT64 <= value < INT64:
            return value
        case Kind.NUMBER, float() if math.isfinite(value):
            return value
        case Kind.BOOLEAN, bool():
            return value
        case Kind.STRING, _:
            return _text(value)
        case _:
            raise TypeError("the value does not suit the field")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("the value is no text")
    value.encode()  # JSON can smuggle in lone surrogates, which BSON cannot hold
    return value


def segments_after(cursor: Cursor, field: Field, direction: Direction) -> list[Document]:
    """What follows the cursor, as conditions that share no row, in the order of the list.

    One after the other, because each is one range of one index; MongoDB plans their union badly.
    Null and missing values stand before all others, as MongoDB sorts them.
    """
    after = "$gt" if direction is Direction.ASC else "$lt"
    if field.path == "_id":
        return [{"_id": {after: cursor.row_id}}]
    ties: Document = {field.path: {"$eq": cursor.value}, "_id": {after: cursor.row_id}}
    if cursor.value is None:
        return [ties] if direction is Direction.DESC else [ties, {field.path: {"$ne": None}}]
    segments: list[Document] = [ties, {field.path: {after: cursor.value}}]
    if direction is Direction.DESC and field.nullable:
        segments.append({field.path: {"$eq": None}})
    return segments
