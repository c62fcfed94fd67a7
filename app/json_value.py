"""Which JSON values a bucket can hold, and the two textual times; pure."""

import math
import re
from datetime import date, datetime
from typing import Final

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

# BSON holds 64-bit integers and refuses more than 100 levels of nesting
# (https://www.mongodb.com/docs/manual/reference/limits/); the rest is left to what wraps a value.
MAX_INTEGER: Final = 2**63 - 1
MAX_DEPTH: Final = 64

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def json_flaw(value: object) -> str | None:
    """What keeps `value` from being JSON that MongoDB can hold, or None when nothing does.

    The answer continues a sentence: "property 'x' " + flaw. Never raises, however deep `value` is.
    """
    if not isinstance(value, dict | list):
        return _scalar_flaw(value)
    remaining: list[tuple[object, int]] = [(value, 0)]
    while remaining:
        part, depth = remaining.pop()
        if depth > MAX_DEPTH:
            return f"is nested deeper than {MAX_DEPTH} levels"
        match part:
            case dict():
                remaining.extend((key, depth) for key in part)
                remaining.extend((inner, depth + 1) for inner in part.values())
                flaw = _key_flaw(part)
            case list():
                remaining.extend((inner, depth + 1) for inner in part)
                flaw = None
            case _:
                flaw = _scalar_flaw(part)
        if flaw is not None:
            return flaw
    return None


def is_date(value: object) -> bool:
    """Whether `value` is a calendar day, YYYY-MM-DD (ISO 8601)."""
    return isinstance(value, str) and _parses(value, _DATE, date)


def is_datetime(value: object) -> bool:
    """Whether `value` is an RFC 3339 time; leap seconds, which Python cannot hold, are not."""
    return isinstance(value, str) and _parses(value.upper(), _DATETIME, datetime)


def _parses(text: str, grammar: re.Pattern[str], kind: type[date]) -> bool:
    if grammar.fullmatch(text) is None:
        return False
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True


def _key_flaw(mapping: dict[object, object]) -> str | None:
    for key in mapping:
        if not isinstance(key, str):
            return "has a key that is not a string"
        if "\0" in key:
            return "has a key with a NUL character"
    return None


def _scalar_flaw(value: object) -> str | None:
    match value:
        case None | bool():
            return None
        case int():
            within = -MAX_INTEGER - 1 <= value <= MAX_INTEGER
            return None if within else "holds an integer beyond 64 bits"
        case float():
            return (
                None if math.isfinite(value) else "holds NaN or Infinity, which JSON doesn't have"
            )
        case str():
            return None if is_unicode(value) else "holds a lone surrogate, which isn't Unicode text"
        case _:
            return f"holds a {type(value).__name__}, which isn't JSON"


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8; JSON's \\ud800 escapes make strings that cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
