"""Values of a filter: each is checked against its field's kind before MongoDB sees it."""

import math
from datetime import UTC, datetime
from typing import Final

from app.errors import InvalidError
from app.query.field import Field, Kind, Location

MAX_TEXT_BYTES: Final = 16_384  # UTF-8 bytes of a value
MAX_PART: Final = 1_000  # characters looked for inside a text; MongoDB bounds patterns at 32 KB
MAX_VALUES: Final = 1_000  # values of `in` and `nin`
INT64: Final = 1 << 63  # BSON's widest integer

Scalar = str | int | float | bool | datetime | None

EXPECTED: Final = {
    Kind.STRING: "a string",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.DATETIME: "a time such as 2026-01-31T12:00:00Z",
    Kind.ANY: "a string, a number, true or false",
}


def scalar(value: object, field: Field, location: Location) -> Scalar:
    """The value as MongoDB holds it, or `InvalidError` saying what the field takes."""
    if value is None:
        return None
    parsed = _parse(value, field.kind)
    if parsed is None:
        message = f"the value must be {EXPECTED[field.kind]}"
        raise InvalidError.at(*location, message=message, kind="wrong_value")
    if field.choices and parsed not in field.choices:
        message = f"the value must be one of {', '.join(field.choices)}"
        raise InvalidError.at(*location, message=message, kind="wrong_value")
    return parsed


def some(value: object, field: Field, location: Location) -> Scalar:
    """Like `scalar`, and null is refused: it has no place in an order."""
    if value is None:
        message = "null cannot be compared by order: use is_null"
        raise InvalidError.at(*location, message=message, kind="wrong_value")
    return scalar(value, field, location)


def several(value: object, field: Field, location: Location) -> list[Scalar]:
    """The values of a list of 1 to `MAX_VALUES`."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        message = f"the value must be a list of 1 to {MAX_VALUES} values"
        raise InvalidError.at(*location, message=message, kind="wrong_value")
    return [scalar(each, field, (*location, i)) for i, each in enumerate(value)]


def flag(value: object, location: Location) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidError.at(*location, message="the value must be true or false")
    return value


def text(value: object, location: Location, *, max_length: int = MAX_PART) -> str:
    """A string of 1 to `max_length` characters that can stand in a pattern."""
    usable = isinstance(value, str) and _storable(value) and "\0" not in value
    if not isinstance(value, str) or not usable or not 1 <= len(value) <= max_length:
        message = f"the value must be a string of 1 to {max_length} characters"
        raise InvalidError.at(*location, message=message, kind="wrong_value")
    return value


def moment(value: str) -> datetime | None:
    """The RFC 3339 time in UTC, or None; a time without an offset is none."""
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo and len(value) > 10 else None
    except (ValueError, OverflowError):
        return None


def _parse(value: object, kind: Kind) -> Scalar:
    match kind, value:
        case ((Kind.BOOLEAN | Kind.ANY), bool()):
            return value
        case ((Kind.NUMBER | Kind.ANY), int()) if not isinstance(value, bool):
            return value if -INT64 <= value < INT64 else None
        case ((Kind.NUMBER | Kind.ANY), float()):
            return value if math.isfinite(value) else None
        case ((Kind.STRING | Kind.ANY), str()):
            return value if _storable(value) else None
        case Kind.DATETIME, str():
            return moment(value)
        case _:
            return None


def _storable(value: str) -> bool:
    """Whether UTF-8 can hold it: JSON can smuggle in lone surrogates."""
    try:
        return len(value.encode()) <= MAX_TEXT_BYTES
    except UnicodeEncodeError:
        return False
