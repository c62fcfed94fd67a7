"""Which fields a list knows: their public names, where MongoDB keeps them, and their types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.errors import InvalidError
from app.query.route import Router

MAX_NAME: Final = 200  # characters of a dotted field name
Location = tuple[str | int, ...]


class Kind(StrEnum):
    """What a field holds, and so which operators and values it takes."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    ANY = "any"  # free-form: what users store in metadata and the like


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a stored document.

    `choices` closes the set of its values. `sortable` promises that the values are of one type
    and that an index leads with the list's scope and this path; `nullable`, that some may be
    null or missing.
    """

    path: str
    kind: Kind = Kind.STRING
    sortable: bool = False
    nullable: bool = True
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSet:
    """The fields of one kind of resource, by public name.

    `prefixes` opens free-form objects: `{"metadata": "metadata"}` takes `metadata.<name>`.
    `others`, when given, is the path under which any name not declared is looked up.
    `searchable` names the fields that a free-text search looks through; `narrowing`
    names those on which a filter makes a list faster; `route` chooses a list's index.
    """

    fields: Mapping[str, Field]
    prefixes: Mapping[str, str] = field(default_factory=dict)
    others: str | None = None
    searchable: tuple[str, ...] = ()
    narrowing: tuple[str, ...] = ()
    route: Router | None = None

    def find(self, name: object, location: Location) -> Field:
        """The field called `name`, or `InvalidError` listing the names there are."""
        if not isinstance(name, str):
            raise InvalidError.at(*location, message="the name of a field is a string")
        if name in self.fields:
            return self.fields[name]
        head, _, rest = name.partition(".")
        if head in self.prefixes and rest:
            return Field(f"{self.prefixes[head]}.{free_name(rest, location)}", Kind.ANY)
        if self.others is not None and head not in self.fields and head not in self.prefixes:
            return Field(f"{self.others}.{free_name(name, location)}", Kind.ANY)
        known = [*sorted(self.fields), *(f"{prefix}.<name>" for prefix in sorted(self.prefixes))]
        message = f"there is no field {name[:MAX_NAME]!r} here: the fields are {', '.join(known)}"
        raise InvalidError.at(*location, message=message, kind="unknown_field")

    def sortable(self) -> list[str]:
        """The names that an order may use, sorted."""
        return sorted(name for name, field_ in self.fields.items() if field_.sortable)


def free_name(name: str, location: Location) -> str:
    """The dotted name, checked: MongoDB must not read any part of it as an operator."""
    parts = name.split(".")
    if len(name) > MAX_NAME or not all(parts):
        message = f"a field name has 1 to {MAX_NAME} characters and no empty part between dots"
        raise InvalidError.at(*location, message=message)
    if any("$" in part or "\0" in part for part in parts) or not name.isprintable():
        message = "a field name holds neither '$' nor control characters"
        raise InvalidError.at(*location, message=message)
    return name
