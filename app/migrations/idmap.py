"""The ids that things have in the target: made of the migration and of their ids in the source.

So every write can be repeated, and nobody has to remember which new id an old one got. Pure.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from app.database import Document
from app.identity import derived_id
from app.resources.extraction import document_id

# Where a row of the target says which row of the source it stands for.
SOURCE: Final = "migrated_from"
# What users wrote themselves: an id in it is a text like any other.
OF_USERS: Final = frozenset({"metadata", "description", "fields", "blobs"})


@dataclass(frozen=True, slots=True)
class IdMap:
    """One migration's ids."""

    migration_id: str
    target_namespace_id: str

    def new(self, old: str) -> str:
        """What stands for `old` in the target: the same kind, and it sorts by the same time."""
        prefix = old.partition("_")[0]
        return derived_id(prefix, like=old, key=f"{self.migration_id}:{old}")

    def object_row(self, row: Document) -> Document:
        """A stored object as the target has it."""
        return {
            **row,
            "_id": self.new(row["_id"]),
            "namespace_id": self.target_namespace_id,
            "bucket_id": self.new(row["bucket_id"]),
            SOURCE: row["_id"],
        }

    def document_key(self, row: Document) -> str:
        """The id of a document in the target.

        One that an extractor made has the id that a batch over the same object would give it.
        """
        if row["_id"] == document_id(row["collection_id"], row["object_id"]):
            return document_id(self.new(row["collection_id"]), self.new(row["object_id"]))
        return self.new(row["_id"])

    def document_row(self, row: Document) -> Document:
        """A document as the target has it, but for who wrote it."""
        return {
            **row,
            "_id": self.document_key(row),
            "namespace_id": self.target_namespace_id,
            "collection_id": self.new(row["collection_id"]),
            "bucket_id": self.new(row["bucket_id"]),
            "object_id": self.new(row["object_id"]),
            SOURCE: row["_id"],
        }

    def table(self, planned: Collection[str]) -> dict[str, str]:
        """The new ids of all that migrates, by the old ones."""
        return {old: self.new(old) for old in planned}

    def standing_row(self, row: Document, table: Mapping[str, str]) -> Document:
        """A bucket, collection and the like as the target has it, its references mapped.

        A reference to anything that is not in the table stays.
        """
        mapped = {
            name: value if name in OF_USERS else _rewritten(value, table)
            for name, value in row.items()
        }
        return {**mapped, "namespace_id": self.target_namespace_id}


def _rewritten(value: object, ids: Mapping[str, str]) -> object:
    match value:
        case str():
            return ids.get(value, value)
        case dict():
            return {ids.get(key, key): _rewritten(each, ids) for key, each in value.items()}
        case list():
            return [_rewritten(each, ids) for each in value]
        case _:
            return value
