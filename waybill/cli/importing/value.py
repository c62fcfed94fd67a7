"""From the cell of a table to the value of a property; pure."""

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from waybill.cli.importing.position import EntryError

TRUE: Final = frozenset({"true", "yes", "1", "t", "y"})
FALSE: Final = frozenset({"false", "no", "0", "f", "n"})


def from_text(type_: str | None, text: str) -> object:
    """What a cell of CSV says, by the property's type; an empty one says nothing: None.

    A property without a type keeps the text. Raises `EntryError`.
    """
    if text == "":
        return None
    read = _READERS.get(type_ or "string")
    return text if read is None else read(text.strip())


def from_native(type_: str | None, value: object) -> object:
    """What a value of Parquet says, in JSON. Raises `EntryError`."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return None if math.isnan(value) else _finite(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return _zoned(value).isoformat()
        case date() | time():
            return value.isoformat()
        case bytes():
            return _of_bytes(type_, value)
        case list() | tuple():
            return [from_native(None, each) for each in value]
        case Mapping():
            return {str(name): from_native(None, each) for name, each in value.items()}
        case _:
            raise EntryError(f"a value of type {type(value).__name__} has no form in JSON")


def _of_bytes(type_: str | None, value: bytes) -> str:
    if type_ == "image":
        return base64.b64encode(value).decode()
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise EntryError("the bytes are no UTF-8 text") from exc


def _integer(text: str) -> object:
    try:
        return int(text)
    except ValueError as exc:
        raise EntryError(f"must be an integer such as 3, not '{_cut(text)}'") from exc


def _number(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return _finite(float(text))
    except ValueError as exc:
        raise EntryError(f"must be a number such as 3.5, not '{_cut(text)}'") from exc


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise EntryError(f"must be a number such as 3.5, not '{value}'")
    return value


def _boolean(text: str) -> object:
    said = text.lower()
    if said not in TRUE | FALSE:
        raise EntryError(f"must be true or false, not '{_cut(text)}'")
    return said in TRUE


def _date(text: str) -> object:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as exc:
        raise EntryError(f"must be a date such as '2026-01-31', not '{_cut(text)}'") from exc


def _datetime(text: str) -> object:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        form = "a time such as '2026-01-31T12:00:00Z'"
        raise EntryError(f"must be {form}, not '{_cut(text)}'") from exc
    return _zoned(at).isoformat()


def _zoned(at: datetime) -> datetime:
    """A time without an offset is UTC, whatever the machine that reads it."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def json_value(text: str) -> object:
    """The JSON of a text, with no number that JSON does not have. Raises `EntryError`."""
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except RecursionError as exc:
        raise EntryError("is nested too deeply") from exc
    except json.JSONDecodeError as exc:
        raise EntryError(f"is no JSON: {exc.msg} (character {exc.pos + 1})") from exc
    except ValueError as exc:
        raise EntryError(f"is no JSON: {exc}") from exc
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "integer": _integer,
    "number": _number,
    "float": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "object": json_value,
    "array": json_value,
    "json": json_value,
}
