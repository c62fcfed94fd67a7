"""One property of a bucket's schema: its name, its type and what agrees with it; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from app.errors import Problem
from app.json_value import is_date, is_datetime, json_flaw

Location = tuple[str | int, ...]

RESERVED_NAMES: Final = frozenset(
    {
        "object_id",
        "bucket_id",
        "namespace_id",
        "key_prefix",
        "blobs",
        "metadata",
        "status",
        "created_at",
        "updated_at",
    }
)


class PropertyType(StrEnum):
    """What a property holds. An image comes as a blob; every other type as a field or a blob."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    DATE = "date"
    DATETIME = "datetime"
    TEXT = "text"
    IMAGE = "image"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Property:
    """What a schema says of one property. The description is for people only."""

    type: PropertyType
    required: bool = False
    description: str | None = None

    def to_json(self) -> dict[str, object]:
        """`{"type", "required"}`, and `"description"` where there is one."""
        stored: dict[str, object] = {"type": self.type.value, "required": self.required}
        return stored if self.description is None else {**stored, "description": self.description}


def read_property(name: str, raw: object, place: Location) -> Property | list[Problem]:
    """The property that the stored form `raw` describes, or everything wrong with it."""
    called = f"property '{shown(name)}'"
    problems: list[Problem] = []
    if (flaw := name_flaw(name)) is not None:
        problems.append(Problem(place, f"{called} {flaw}"))
    match raw:
        case {"type": str(type_), **rest} if type_ in set(PropertyType):
            problems.extend(_detail_problems(called, rest, place))
        case Mapping():
            legal = f"legal types are {', '.join(PropertyType)}"
            problems.append(Problem((*place, "type"), f"{called} has no legal type: {legal}"))
        case _:
            form = '{"type": "text", "required": true}'
            problems.append(Problem(place, f"{called} must be an object such as {form}"))
    if problems or not isinstance(raw, Mapping):
        return problems
    return Property(PropertyType(raw["type"]), raw.get("required", False), raw.get("description"))


def name_flaw(name: str) -> str | None:
    """What is wrong with a property's name, continuing "property 'x' …", or None."""
    if not name.strip():
        return "has an empty name"
    if name.startswith(("$", "_")):
        return "has a name that starts with '$' or '_', which Waybill keeps for itself"
    if "." in name or "\0" in name:
        return "has a name with '.' or NUL, which filters could not address"
    if name in RESERVED_NAMES:
        return f"has a reserved name: reserved are {', '.join(sorted(RESERVED_NAMES))}"
    return json_flaw(name)


def mismatch(type_: PropertyType, value: object) -> str | None:
    """What a value of `type_` must be, when `value` isn't; None when it is. Never raises.

    The answer continues a sentence: "property 'price' must be a number, not …". No JSON value is
    an image.
    """
    if (flaw := json_flaw(value)) is not None:
        return flaw
    wanted, agrees = _judge(type_, value)
    return None if agrees else f"must be {wanted}, not {_kind(value)}"


def shown(text: str) -> str:
    """`text` made printable and cut to 100 characters, for a message."""
    return text[:100] if text.isprintable() else ascii(text[:100])[1:-1]


def _detail_problems(called: str, rest: Mapping[object, object], place: Location) -> list[Problem]:
    problems: list[Problem] = []
    for key, value in rest.items():
        match key:
            case "required":
                right = None if isinstance(value, bool) else "must be true or false"
            case "description":
                right = None if value is None else mismatch(PropertyType.STRING, value)
            case _:
                right = "is unknown: known are type, required, description"
        if right is not None:
            message = f"'{shown(str(key))}' of {called} {right}"
            problems.append(Problem((*place, shown(str(key))), message))
    return problems


def _judge(type_: PropertyType, value: object) -> tuple[str, bool]:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    match type_:
        case PropertyType.STRING | PropertyType.TEXT:
            return "a string", isinstance(value, str)
        case PropertyType.INTEGER:
            return "an integer such as 3", is_int
        case PropertyType.NUMBER | PropertyType.FLOAT:
            return "a number such as 3.5", is_int or isinstance(value, float)
        case PropertyType.BOOLEAN:
            return "true or false", isinstance(value, bool)
        case PropertyType.OBJECT:
            return "an object", isinstance(value, dict)
        case PropertyType.ARRAY:
            return "an array", isinstance(value, list)
        case PropertyType.DATE:
            return "a date such as '2026-01-31'", is_date(value)
        case PropertyType.DATETIME:
            return "a time such as '2026-01-31T12:00:00Z'", is_datetime(value)
        case PropertyType.IMAGE:
            return "a blob of type 'image'", False
        case PropertyType.JSON:
            return "JSON", True
        case _:
            assert_never(type_)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the string '{shown(value)}'"
        case dict():
            return "an object"
        case _:
            return "an array"
