"""Documents as the target has them, with what taxonomies assigned to them."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pymongo.database import Database

from app.database import Document
from app.migrations.idmap import IdMap
from app.resources.extraction import DOCUMENTS


class DocumentMap:
    """Of one migration; `planned` are the ids of the resources that go along."""

    def __init__(self, database: Database[Document], ids: IdMap, planned: Collection[str]) -> None:
        self._documents = database[DOCUMENTS]
        self._ids = ids
        self._planned = frozenset(planned)

    def rows(self, rows: Sequence[Document]) -> list[Document]:
        """The rows of the target, but for who wrote them.

        Of the assignments those stay whose taxonomies go along, with their nodes' new ids.
        """
        keys = self._keys({each for row in rows for each in _named(row)})
        return [self._row(row, keys) for row in rows]

    def _row(self, row: Document, keys: Mapping[str, str]) -> Document:
        made = self._ids.document_row(row)
        if "origin" in row:
            made["origin"] = {
                "taxonomy_id": self._ids.new(row["origin"]["taxonomy_id"]),
                "collection_id": self._ids.new(row["origin"]["collection_id"]),
                "document_id": keys[row["origin"]["document_id"]],
            }
        if "taxonomies" in row:
            made["taxonomies"] = {
                self._ids.new(taxonomy_id): self._entry(entry, keys)
                for taxonomy_id, entry in row["taxonomies"].items()
                if taxonomy_id in self._planned
            }
        return made

    def _entry(self, entry: Document, keys: Mapping[str, str]) -> Document:
        """What one taxonomy assigned; the task that did it stays behind, the migration stands for
        it.
        """
        return {
            **entry,
            "task_id": self._ids.migration_id,
            "assignments": [
                {
                    **each,
                    "node_id": keys[each["node_id"]],
                    "collection_id": self._ids.new(each["collection_id"]),
                    "path": [{**step, "node_id": keys[step["node_id"]]} for step in each["path"]],
                }
                for each in entry["assignments"]
            ],
        }

    def _keys(self, named: Collection[str]) -> dict[str, str]:
        """The new ids of documents; one that is gone gets the id that it would have had."""
        keys = {old: self._ids.new(old) for old in named}
        if named:
            found = self._documents.find(
                {"_id": {"$in": sorted(named)}}, {"collection_id": 1, "object_id": 1}
            )
            keys |= {row["_id"]: self._ids.document_key(row) for row in found}
        return keys


def _named(row: Document) -> Iterator[str]:
    """The documents that a row names: where it was copied from, and nodes."""
    if "origin" in row:
        yield row["origin"]["document_id"]
    for entry in row.get("taxonomies", {}).values():
        for each in entry["assignments"]:
            yield each["node_id"]
            yield from (step["node_id"] for step in each["path"])
