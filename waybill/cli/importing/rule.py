"""A bucket's schema as the importer needs it: which property is of which type; pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Self

# What an object has besides properties.
ENVELOPE: Final = frozenset(
    {
        *("blobs", "key_prefix", "metadata"),
        *("skip_duplicates", "canonicalize_source", "force_remirror"),
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the schema says of one property."""

    type: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The properties by name; none: objects may have whatever they like."""

    rules: Mapping[str, Rule]

    @classmethod
    def read(cls, bucket_schema: object) -> Self:
        """Of the bucket's JSON, as the server answers it."""
        properties = bucket_schema.get("properties") if isinstance(bucket_schema, dict) else None
        if not isinstance(properties, dict):
            return cls({})
        return cls(
            {
                str(name): Rule(str(raw.get("type")), raw.get("required") is True)
                for name, raw in properties.items()
                if isinstance(raw, dict)
            }
        )

    def type_of(self, name: str) -> str | None:
        """The property's type; None where the schema does not have it."""
        rule = self.rules.get(name)
        return rule.type if rule else None

    @property
    def is_open(self) -> bool:
        """Whether any property may come."""
        return not self.rules

    def named(self) -> str:
        """The names, for messages."""
        return ", ".join(self.rules) or "none"

    def required(self) -> tuple[str, ...]:
        return tuple(name for name, rule in self.rules.items() if rule.required)


def flaw(schema: Schema, found: Mapping[str, object]) -> str | None:
    """What in an object does not agree with the schema, as far as it can be seen without the
    server; None where nothing does.
    """
    values = {name: value for name, value in found.items() if name not in ENVELOPE}
    blobs = found.get("blobs") or []
    if not isinstance(blobs, list) or not all(isinstance(blob, Mapping) for blob in blobs):
        return "'blobs' must be an array of objects"
    named = {name for name, value in values.items() if value is not None}
    named |= {str(blob.get("property")) for blob in blobs}
    if not schema.is_open and (unknown := sorted(named - set(schema.rules))):
        return f"property '{unknown[0]}' is not in the bucket's schema, which has {schema.named()}"
    if missing := [name for name in schema.required() if name not in named]:
        return f"property '{missing[0]}' is required ({schema.rules[missing[0]].type})"
    for name, value in values.items():
        type_ = schema.type_of(name)
        if value is not None and type_ is not None and not _agrees(type_, value):
            return f"property '{name}' must be of type {type_}"
    return None


def _agrees(type_: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match type_:
        case "string" | "text":
            return isinstance(value, str)
        case "integer":
            return is_number and isinstance(value, int)
        case "number" | "float":
            return is_number
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "date":
            return isinstance(value, str) and _parses(date.fromisoformat, value)
        case "datetime":
            return isinstance(value, str) and _parses(datetime.fromisoformat, value)
        case "image":
            return False  # comes as a blob
        case _:
            return True


def _parses(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True
