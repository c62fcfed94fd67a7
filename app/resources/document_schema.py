"""What fields the documents of a collection have, as far as was seen. Pure.

A schema only grows: a field is added, or its type becomes wider.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from app.database import Document
from app.receipts.receipt import JsonObject

MAX_FIELDS: Final = 1_000  # of a schema; what comes later is left out


class Part(StrEnum):
    """Where in a document a field stands."""

    FIELDS = "fields"
    METADATA = "metadata"
    VECTORS = "vectors"


class FieldType(StrEnum):
    """What values a field has. Null is of every type."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    OBJECT = "object"
    ARRAY = "array"
    VECTOR = "vector"
    MIXED = "mixed"  # several of these


# By the names of MongoDB's `$type`.
OF_BSON: Final[Mapping[str, FieldType]] = {
    "string": FieldType.STRING,
    "int": FieldType.INTEGER,
    "long": FieldType.INTEGER,
    "double": FieldType.NUMBER,
    "decimal": FieldType.NUMBER,
    "bool": FieldType.BOOLEAN,
    "date": FieldType.DATETIME,
    "object": FieldType.OBJECT,
    "array": FieldType.ARRAY,
    "binData": FieldType.VECTOR,
}
NUMBERS: Final = frozenset({FieldType.INTEGER, FieldType.NUMBER})


@dataclass(frozen=True, slots=True)
class FieldSeen:
    """A field of some documents, and a type that it has there."""

    part: Part
    name: str
    type: FieldType


@dataclass(frozen=True, slots=True)
class DocumentSchema:
    """The type of each field, by its part and name; the names are users' own, dots and all."""

    types: Mapping[tuple[Part, str], FieldType] = field(default_factory=dict)

    @classmethod
    def from_stored(cls, rows: Iterable[Document]) -> Self:
        """The schema in a collection's document."""
        return cls(
            {(Part(row["part"]), row["name"]): FieldType(row["type"]) for row in rows},
        )

    def to_stored(self) -> list[Document]:
        """A list: no name of a user's is ever a key of ours."""
        return [
            {"part": part.value, "name": name, "type": type_.value}
            for (part, name), type_ in sorted(self.types.items())
        ]

    def to_json(self) -> JsonObject:
        """The types by name, for each part of a document."""
        return {
            part.value: {
                name: type_.value
                for (own, name), type_ in sorted(self.types.items())
                if own is part
            }
            for part in Part
        }

    def widened(self, seen: Iterable[FieldSeen]) -> "DocumentSchema":
        """The schema that has these, too."""
        types = dict(self.types)
        for each in sorted(seen, key=lambda one: (one.part, one.name, one.type)):
            key = (each.part, each.name)
            if key in types:
                types[key] = wider(types[key], each.type)
            elif len(types) < MAX_FIELDS:
                types[key] = each.type
        return DocumentSchema(types)


def wider(one: FieldType, other: FieldType) -> FieldType:
    """The type that has the values of both."""
    if one is other:
        return one
    return FieldType.NUMBER if {one, other} <= NUMBERS else FieldType.MIXED
