"""A bucket's schema, and what in an object does not agree with it; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from app.errors import InvalidError, Problem
from app.json_value import json_flaw
from app.resources.property import (
    Location,
    Property,
    PropertyType,
    mismatch,
    name_flaw,
    read_property,
    shown,
)

# Two names for one Python type each: a blob of one kind may fill a property of the other.
_ALIKE: Final = (
    frozenset({PropertyType.STRING, PropertyType.TEXT}),
    frozenset({PropertyType.NUMBER, PropertyType.FLOAT}),
)

_TYPES: Final[dict[str, PropertyType]] = {legal.value: legal for legal in PropertyType}

# Types whose inline content has forms of its own, such as base64: `content.decode_inline` reads it.
_CONTENT: Final = frozenset({PropertyType.STRING, PropertyType.TEXT, PropertyType.IMAGE})


@dataclass(frozen=True, slots=True)
class BucketSchema:
    """The properties by name; without any, objects may have whatever properties they like."""

    properties: Mapping[str, Property] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: object, location: Location = ("bucket_schema",)) -> Self:
        """Reads `{"properties": {name: {"type", "required"?, "description"?}}}`.

        Raises `InvalidError` with every problem found, each at its place under `location`.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("properties"), Mapping):
            form = '{"properties": {"body": {"type": "text", "required": true}}}'
            raise InvalidError.at(*location, message=f"a bucket schema is an object such as {form}")
        problems = [
            Problem(
                (*location, shown(str(key))),
                f"'{shown(str(key))}' is unknown: known is 'properties'",
            )
            for key in value
            if key != "properties"
        ]
        properties: dict[str, Property] = {}
        for name, raw in value["properties"].items():
            read = read_property(str(name), raw, (*location, "properties", shown(str(name))))
            if isinstance(read, Property):
                properties[str(name)] = read
            else:
                problems.extend(read)
        if problems:
            raise InvalidError(problems)
        return cls(properties)

    def to_json(self) -> dict[str, object]:
        """The form that `parse` reads and that is stored; `parse(s.to_json()) == s`."""
        return {"properties": {name: prop.to_json() for name, prop in self.properties.items()}}


def violations(
    schema: BucketSchema,
    fields: Mapping[str, object],
    blobs: Sequence[Mapping[str, object]],
) -> list[Problem]:
    """What in an object does not agree with `schema`, in the object's order; empty when all does.

    `fields` are the free fields, by name: a null counts as absent. `blobs` are as a request brings
    them, `{"property", "type", "data" or "url", "metadata"?}`: what the inline content of a text or
    an image must look like is for `content.decode_inline` to say. Places are `(name,)` and
    `("blobs", index, key)`, safe to print. Never raises.
    """
    given = {name for name, value in fields.items() if value is not None}
    problems = [
        Problem((shown(name),), f"property '{shown(name)}' {flaw}")
        for name in fields
        if name in given and (flaw := _field_flaw(schema, name, fields[name])) is not None
    ]
    for index, blob in enumerate(blobs):
        problems.extend(_blob_problems(schema, blob, ("blobs", index), given))
        given.add(str(blob.get("property")))
    problems.extend(
        Problem((shown(name),), f"property '{shown(name)}' is required ({prop.type})", "missing")
        for name, prop in schema.properties.items()
        if prop.required and name not in given
    )
    return problems


def _field_flaw(schema: BucketSchema, name: str, value: object) -> str | None:
    prop = schema.properties.get(name)
    if prop is not None:
        return mismatch(prop.type, value)
    if schema.properties:
        return _unknown(schema)
    return name_flaw(name) or json_flaw(value)


def _blob_problems(
    schema: BucketSchema, blob: Mapping[str, object], place: Location, given: set[str]
) -> Iterator[Problem]:
    name, type_ = blob.get("property"), _blob_type(blob)
    if not isinstance(name, str):
        yield Problem((*place, "property"), "a blob names the property that it fills", "missing")
        return
    called = f"property '{shown(name)}'"
    if name in given:
        yield Problem((*place, "property"), f"{called} is given twice: give it once")
    if (flaw := _owner_flaw(schema, name)) is not None:
        yield Problem((*place, "property"), f"{called} {flaw}")
    if type_ is None:
        yield Problem((*place, "type"), f"a blob's type is one of {', '.join(PropertyType)}")
    elif (prop := schema.properties.get(name)) and not _alike(prop.type, type_):
        yield Problem((*place, "type"), f"{called} takes a blob of type '{prop.type}'")
    if (blob.get("data") is None) == (blob.get("url") is None):
        yield Problem(place, f"the blob of {called} has either 'data' or 'url'")
    flaws = {
        "data": _data_flaw(type_, blob.get("data")),
        "metadata": json_flaw(blob.get("metadata")),
    }
    for key, flaw in flaws.items():
        if flaw is not None:
            yield Problem((*place, key), f"'{key}' of the blob of {called} {flaw}")


def _blob_type(blob: Mapping[str, object]) -> PropertyType | None:
    given = blob.get("type")
    return _TYPES.get(given) if isinstance(given, str) else None


def _data_flaw(type_: PropertyType | None, data: object) -> str | None:
    if data is None or type_ is None or type_ in _CONTENT:
        return json_flaw(data)
    return mismatch(type_, data)


def _owner_flaw(schema: BucketSchema, name: str) -> str | None:
    if name in schema.properties:
        return None
    return _unknown(schema) if schema.properties else name_flaw(name)


def _unknown(schema: BucketSchema) -> str:
    return f"is not in the bucket's schema, which has {', '.join(map(shown, schema.properties))}"


def _alike(wanted: PropertyType, given: PropertyType) -> bool:
    return wanted == given or any({wanted, given} <= kinds for kinds in _ALIKE)
