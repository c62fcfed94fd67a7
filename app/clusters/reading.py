"""What executions read: documents of the selected collections, in the order of their ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from pymongo import ASCENDING
from pymongo.database import Database

from app.clusters.source import Source
from app.database import Document
from app.json_value import JsonValue
from app.query.condition import compile_filters, joined
from app.query.field import Field, FieldSet
from app.resources.document import FIELDS
from app.resources.extraction import DOCUMENTS

# Fields of documents that attributes may name; a bare name is one of an object's own fields.
ATTRIBUTES: Final = FieldSet(
    {name: Field(name) for name in ("object_id", "bucket_id", "batch_id")},
    prefixes={"metadata": "metadata", "fields": "fields"},
    others="fields",
)
BATCH_ROWS: Final = 2_000
FLOAT32_HEADER: Final = 2  # bytes before the numbers of a BSON vector: its type and its padding

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VectorRow:
    """A document's vectors in the order of the source's features.

    `place` is that of its collection in the selection.
    """

    document_id: str
    place: int
    vectors: Sequence[Vector]


class Selection:
    """The documents of some collections that all of the filters select.

    Reads are in the order of the collections and of the ids in them, each time anew: documents
    that come or go between two reads are in the second as they are then.
    """

    def __init__(
        self,
        database: Database[Document],
        *,
        namespace_id: str,
        collection_ids: Sequence[str],
        filters: Iterable[object] = (),
    ) -> None:
        self._documents = database[DOCUMENTS]
        self._namespace_id = namespace_id
        self.collection_ids = tuple(collection_ids)
        self._filters = [compile_filters(each, FIELDS) for each in filters]

    def count(self) -> int:
        """How many there are."""
        return sum(self._documents.count_documents(one) for _, one in self._conditions())

    def values(self, names: Sequence[str]) -> Iterator[tuple[str, int, list[JsonValue]]]:
        """Each id, its collection's place, and the attributes' values; None: there is none."""
        paths = [ATTRIBUTES.find(name, ("attributes",)).path for name in names]
        projection = dict.fromkeys(_outermost(paths), 1)
        for place, condition in self._conditions():
            for row in self._find(condition, projection):
                yield row["_id"], place, [_value_at(row, path) for path in paths]

    def vector_ids(self, source: Source) -> Iterator[str]:
        """The ids of the documents with a vector of the source's first feature."""
        first = source.features[0].name
        for _, condition in self._having(source, first):
            for row in self._find(condition, {"_id": 1}):
                yield row["_id"]

    def vector_count(self, source: Source) -> int:
        """How many these are; of joined documents, some may lack another feature's vector."""
        first = source.features[0].name
        return sum(self._documents.count_documents(one) for _, one in self._having(source, first))

    def vectors(self, source: Source, chosen: Sequence[str] | None = None) -> Iterator[VectorRow]:
        """Their vectors, only those of the chosen ids where some are chosen.

        Documents of a source that is joined have the vectors of their object's other documents;
        those without one of them are left out.
        """
        first = source.features[0].name
        projection = {"object_id": 1, f"vectors.{first}": 1}
        for place, condition in self._having(source, first):
            for rows in self._batches(condition, projection, chosen):
                others = [self._of_objects(source, each.name, rows) for each in source.features[1:]]
                for row in rows:
                    vectors = [_numbers(row["vectors"][first])]
                    vectors += [
                        each[row["object_id"]] for each in others if row["object_id"] in each
                    ]
                    if len(vectors) == len(source.features):
                        yield VectorRow(row["_id"], place, vectors)

    def _of_objects(
        self, source: Source, feature: str, rows: Sequence[Document]
    ) -> dict[str, Vector]:
        """The feature's vectors of the same objects, by object."""
        path = f"vectors.{feature}"
        (collection_id,) = source.collection_ids[feature]
        condition = {
            "collection_id": collection_id,
            "object_id": {"$in": [row["object_id"] for row in rows]},
            "namespace_id": self._namespace_id,
            path: {"$exists": True},
        }
        found = self._documents.find(condition, {"object_id": 1, path: 1})
        return {row["object_id"]: _numbers(row["vectors"][feature]) for row in found}

    def _having(self, source: Source, feature: str) -> Iterator[tuple[int, Document]]:
        """For each collection of the feature, its place and the condition on its documents."""
        for place, condition in self._conditions():
            if self.collection_ids[place] in source.collection_ids[feature]:
                yield place, joined([condition, {f"vectors.{feature}": {"$exists": True}}])

    def _conditions(self) -> Iterator[tuple[int, Document]]:
        for place, one in enumerate(self.collection_ids):
            scope = {"collection_id": one, "namespace_id": self._namespace_id}
            yield place, joined([scope, *self._filters])

    def _batches(
        self, condition: Document, projection: Document, chosen: Sequence[str] | None
    ) -> Iterator[list[Document]]:
        if chosen is None:
            yield from _grouped(self._find(condition, projection))
            return
        for start in range(0, len(chosen), BATCH_ROWS):
            some = {"_id": {"$in": chosen[start : start + BATCH_ROWS]}}
            yield list(self._find(joined([condition, some]), projection))

    def _find(self, condition: Document, projection: Document) -> Iterator[Document]:
        found = self._documents.find(condition, projection, batch_size=BATCH_ROWS)
        yield from found.sort("_id", ASCENDING)


def _grouped(rows: Iterator[Document]) -> Iterator[list[Document]]:
    while some := list(islice(rows, BATCH_ROWS)):
        yield some


def _numbers(vector: bytes) -> Vector:
    return np.frombuffer(vector, "<f4", offset=FLOAT32_HEADER)


def _outermost(paths: Sequence[str]) -> list[str]:
    """The paths that lie in no other: MongoDB projects no path twice."""
    return [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]


def _value_at(row: Document, path: str) -> JsonValue:
    value: JsonValue = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
