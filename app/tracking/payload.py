"""What PostgreSQL can hold of what callers give: taken as it is, or refused with its place; pure.

JSONB knows neither NaN nor NUL characters (https://www.postgresql.org/docs/current/datatype-json.html),
and JSON no tuples, dates or keys that are numbers: what is taken is read back equal.
"""

import json
import math
import operator
from dataclasses import dataclass
from typing import Any, Final, SupportsIndex

from app.json_value import is_unicode

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 200  # Python reads and writes JSON by recursion
MAX_DIGITS: Final = 4_000  # Python itself reads no integer of more than 4300
MAX_NAME_BYTES: Final = 255
MAX_REFERENCE_BYTES: Final = 2_048
MAX_NOTE_CHARACTERS: Final = 10_000
MAX_COUNT: Final = 2**63 - 1
# From here on Python writes a float with an exponent, and JSONB gives it back as another integer.
_EXPONENT_FROM: Final = 1e16
_TOO_LONG: Final = 10**MAX_DIGITS
# Of an event no longer than this, so with no longer number, its text tells that nothing is wrong.
_SHORT_CHARACTERS: Final = MAX_DIGITS
# One for all events: json.dumps() makes one for each.
_decoder: Final = json.JSONDecoder()
_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class Payload(dict[str, Any]):
    """A copy of an event that PostgreSQL can hold, with its JSON text; nobody changes it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__(_decoder.decode(text))
        self.text = text


def taken(event: object) -> Payload:
    """The event's copy, which reads back equal; one that was taken before is taken as it is.

    `ValueError` names the place of what JSONB cannot hold, and what would be right.
    """
    if isinstance(event, Payload):
        return event
    copy = _short(event)
    return Payload(_checked(event)) if copy is None else copy


def encode(event: object) -> str:
    """The event as JSON text, which reads back equal. `ValueError` as of `taken`."""
    return taken(event).text


def written(event: object) -> str:
    """The JSON text of an event that was taken before."""
    return event.text if isinstance(event, Payload) else _text(event)


def _short(event: object) -> Payload | None:
    """The copy of a short event with nothing wrong in it; None: only a closer look can tell."""
    try:
        text = _encoder.encode(event)
    except (ValueError, TypeError, RecursionError):
        return None
    is_odd = "e+" in text or "\\u0000" in text or not is_unicode(text)
    is_deep = text.count("[") + text.count("{") > MAX_DEPTH
    if not isinstance(event, dict) or len(text) > _SHORT_CHARACTERS or is_odd or is_deep:
        return None
    copy = Payload(text)
    return copy if copy == event else None  # tuples and keys that are no text are not


def _checked(event: object) -> str:
    if not isinstance(event, dict):
        kind = type(event).__name__
        raise ValueError(f"event is not valid: it must be a dict, not a {kind}")  # noqa: TRY004
    flaw = _flaw(event, MAX_DEPTH)
    if flaw is not None:
        raise ValueError(f"event{flaw.place} is not valid: {flaw.message}")
    text = _text(event)
    size_bytes = len(text.encode())
    if size_bytes > MAX_EVENT_BYTES:
        raise ValueError(
            f"event is not valid: its JSON has {size_bytes:,} bytes, at most {MAX_EVENT_BYTES:,} "
            "are held: store it elsewhere and name the place"
        )
    return text


def check_name(field: str, value: object, *, most_bytes: int = MAX_NAME_BYTES) -> str:
    """The value of a name or reference. `ValueError` where it is none that an index can hold."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field}={value!r} is not valid: it must be text that says something")
    flaw = _text_flaw(value)
    if flaw is not None:
        raise ValueError(f"{field}={value!r} is not valid: {flaw}")
    size_bytes = len(value.encode())
    if size_bytes > most_bytes:
        raise ValueError(
            f"{field} is not valid: it has {size_bytes:,} bytes, at most {most_bytes:,} are held"
        )
    return value


def check_count(field: str, value: SupportsIndex | None) -> int | None:
    """A count of rows. `ValueError` where it is none: 0 or more, within 64 bits."""
    if value is None:
        return None
    try:
        count = operator.index(value)  # NumPy's integers are integers, too
    except TypeError:
        count = -1
    if isinstance(value, bool) or not 0 <= count <= MAX_COUNT:
        raise ValueError(f"{field}={value!r} is not valid: it must be a count, 0 or more")
    return count


def note_of(value: object) -> str | None:
    """A note as it can be stored: never refused, since it would keep a run from being ended.

    NUL characters and lone surrogates are replaced, what exceeds `MAX_NOTE_CHARACTERS` is cut off.
    """
    if value is None:
        return None
    text = str(value)[:MAX_NOTE_CHARACTERS].replace("\0", _REPLACEMENT)
    if is_unicode(text):
        return text
    return "".join(_REPLACEMENT if "\ud800" <= each <= "\udfff" else each for each in text)


@dataclass(frozen=True, slots=True)
class _Flaw:
    message: str
    place: str = ""

    def at(self, key: object) -> "_Flaw":
        return _Flaw(self.message, f"[{key!r}]{self.place}")


def _flaw(value: object, depth: int) -> _Flaw | None:
    """What is wrong with the first part of the value that is, by type: exact ones come first."""
    match value:
        case str():
            message = _text_flaw(value)
        case None | bool():
            return None
        case int():
            long = abs(value) >= _TOO_LONG
            message = f"it has more than {MAX_DIGITS:,} digits" if long else None
        case float():
            message = None if math.isfinite(value) else "JSON has no NaN or Infinity: use None"
        case dict() | list() if depth == 0:
            message = f"it is nested deeper than {MAX_DEPTH} levels"
        case dict():
            return _dict_flaw(value, depth - 1)
        case list():
            return _list_flaw(value, depth - 1)
        case _:
            message = _stranger(value)
    return None if message is None else _Flaw(message)


def _dict_flaw(value: dict[object, object], depth: int) -> _Flaw | None:
    for key, inner in value.items():
        if not isinstance(key, str):
            kind = type(key).__name__
            return _Flaw(f"the key is a {kind}, JSON's are text: use str(...)").at(key)
        message = _text_flaw(key)
        if message is not None:
            return _Flaw(f"of the key, {message}").at(key)
        flaw = _flaw(inner, depth)
        if flaw is not None:
            return flaw.at(key)
    return None


def _list_flaw(value: list[object], depth: int) -> _Flaw | None:
    for number, inner in enumerate(value):
        flaw = _flaw(inner, depth)
        if flaw is not None:
            return flaw.at(number)
    return None


def _text_flaw(text: str) -> str | None:
    if "\0" in text:
        return "it holds a NUL character, which PostgreSQL's text cannot: leave it out"
    if not text.isascii() and not is_unicode(text):
        return "it holds a lone surrogate, which isn't Unicode text: leave it out"
    return None


def _stranger(value: object) -> str:
    """What would be right in place of a value that JSON does not have."""
    kind = type(value).__name__
    if hasattr(value, "isoformat"):
        return f"a {kind} isn't JSON: use .isoformat()"
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return f"a {kind} isn't JSON: use .tolist()"
    match value:
        case tuple() | set() | frozenset():
            right = "a list"
        case bytes() | bytearray():
            right = "text, such as base64"
        case _:
            right = "text, a number, a list or a dict"
    return f"a {kind} isn't JSON: use {right}"


def _text(event: object) -> str:
    text = _encoder.encode(event)
    # All floats of that size are whole numbers: written as such they are read back equal.
    return _encoder.encode(_whole(event)) if "e+" in text else text


def _whole(value: object) -> object:
    match value:
        case float() if abs(value) >= _EXPONENT_FROM:
            return int(value)
        case dict():
            return {key: _whole(inner) for key, inner in value.items()}
        case list():
            return [_whole(inner) for inner in value]
        case _:
            return value
