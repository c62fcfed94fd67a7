"""Trying a taxonomy on a few documents: nothing is stored."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pymongo.database import Database

from app.database import Document
from app.errors import BadRequestError, InvalidError, NotFoundError
from app.query.patience import TIME_LIMIT_MS
from app.resources.extraction import DOCUMENTS
from app.taxonomies.assignment import Assignment, Node
from app.taxonomies.descent import Block, Nodes, assign
from app.taxonomies.node import NodeStore
from app.taxonomies.query import Query
from app.taxonomies.similarity import Vectors
from app.taxonomies.taxonomy import Taxonomy

LARGEST: Final = float(np.finfo(np.float32).max)

# A document by its id, or as plain JSON.
Item = str | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Tried:
    """What one document would be assigned; the id of a plain one is None, unless it says one."""

    document_id: str | None
    assignments: Sequence[Assignment]


@dataclass(frozen=True, slots=True)
class _Hurried:
    """Nodes that are read for as long as a request may take."""

    nodes: Nodes
    until_s: float  # of the monotonic clock

    def blocks(self, depth: int, size: int) -> Iterator[Block]:
        """The level's nodes; `BadRequestError` where the time has passed before the last."""
        for block in self.nodes.blocks(depth, size):
            if time.monotonic() > self.until_s:
                raise BadRequestError(
                    "The taxonomy has more nodes than a trial can compare in its time: "
                    "materialize it over a small collection instead"
                )
            yield block

    def described(self, depth: int, node_ids: Sequence[str]) -> Mapping[str, Node]:
        """These nodes of the level."""
        return self.nodes.described(depth, node_ids)


class TrialStore:
    """Reads the documents and the nodes that a trial compares."""

    def __init__(
        self, database: Database[Document], *, limit_s: float = TIME_LIMIT_MS / 1000
    ) -> None:
        self._limit_s = limit_s
        self._database = database
        self._documents = database[DOCUMENTS]

    def run(
        self, taxonomy: Taxonomy, query: Query, items: Sequence[Item], *, collection_id: str | None
    ) -> list[Tried]:
        """What each would be assigned, in order; ids are of the collection, where one is named.

        `NotFoundError` names a document that is not there; `BadRequestError` where there are more
        nodes than can be compared in the time that a request has.
        """
        vectors = np.zeros((len(items), query.feature.dimension), np.float32)
        for place, item in enumerate(items):
            vectors[place] = self._vector(taxonomy, query, item, place, collection_id)
        nodes = NodeStore(
            self._database,
            taxonomy.config,
            query.feature,
            namespace_id=taxonomy.namespace_id,
            kept_bytes=0,
        )
        hurried = _Hurried(nodes, time.monotonic() + self._limit_s)
        found = assign(vectors, taxonomy.config.levels, hurried)
        return [Tried(_id(item), each) for item, each in zip(items, found, strict=True)]

    def _vector(
        self,
        taxonomy: Taxonomy,
        query: Query,
        item: Item,
        place: int,
        collection_id: str | None,
    ) -> Vectors:
        if isinstance(item, str):
            rows = [self._stored(item, taxonomy.namespace_id, collection_id)]
            (vector,) = query.vectors(rows)
        elif not query.makes_vectors and isinstance(given := item.get("vectors"), Mapping):
            vector = _given(given.get(query.vector_name), query, place)
        else:
            (vector,) = query.vectors_of_plain([_plain(item)])
        found: Vectors = vector
        return found

    def _stored(self, document_id: str, namespace_id: str, collection_id: str | None) -> Document:
        key = {"_id": document_id, "namespace_id": namespace_id}
        if collection_id is not None:
            key["collection_id"] = collection_id
        found = self._documents.find_one(key)
        if found is None:
            raise NotFoundError(f"There is no document '{document_id[:128]}'")
        return found


def _id(item: Item) -> str | None:
    if isinstance(item, str):
        return item
    said = item.get("document_id")
    return said if isinstance(said, str) else None


def _plain(item: Mapping[str, object]) -> dict[str, object]:
    """The item with its fields on its top level, where a document of ours has them below."""
    fields = item.get("fields")
    return {**fields, **item} if isinstance(fields, Mapping) else dict(item)


def _given(numbers: object, query: Query, place: int) -> Vectors:
    """A vector that the request brings; `InvalidError` where it is none of the feature's."""
    dimension = query.feature.dimension
    if (
        isinstance(numbers, list)
        and len(numbers) == dimension
        and all(isinstance(one, int | float) and abs(one) <= LARGEST for one in numbers)
    ):
        return np.array(numbers, np.float32)
    message = f"'{query.vector_name}' is a list of {dimension} numbers"
    raise InvalidError.at("body", "source_documents", place, "vectors", message=message)
