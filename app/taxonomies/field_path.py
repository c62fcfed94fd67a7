"""Where in a document a value is read: `fields.name`, `metadata.team`, `document_id`, or `name`."""

from collections.abc import Mapping
from typing import Final

from app.query.field import Location, free_name

FIELDS: Final = "fields"
_ROOTS: Final = frozenset({FIELDS, "metadata"})
_IDS: Final[Mapping[str, str]] = {
    "document_id": "_id",
    "object_id": "object_id",
    "bucket_id": "bucket_id",
}


def stored_path(name: str, location: Location = ()) -> str:
    """Where MongoDB keeps the value; a name without a root is a field of the user's.

    `InvalidError` for what is no name.
    """
    if name in _IDS:
        return _IDS[name]
    checked = free_name(name, location)
    return checked if checked.partition(".")[0] in _ROOTS and "." in checked else f"fields.{name}"


def value_at(document: Mapping[str, object], name: str) -> object:
    """The value of a stored document there, or None."""
    value: object = document
    for part in stored_path(name).split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
