"""Nodes as MongoDB has them: the documents of source collections, read in blocks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from bson.binary import Binary, BinaryVectorDtype
from pymongo import ASCENDING
from pymongo.database import Database

from app.database import Document
from app.resources.extraction import DOCUMENTS
from app.resources.extractor import Feature
from app.taxonomies.assignment import Node
from app.taxonomies.config import Config, Level, Source
from app.taxonomies.descent import Block, hook_of
from app.taxonomies.field_path import stored_path, value_at
from app.taxonomies.similarity import Measured, Vectors

ROWS_PER_READ: Final = 2_000
# What one block has at most: nodes, and bytes of vectors.
BLOCK_NODES: Final = 20_000
BLOCK_BYTES: Final = 16 * 1024 * 1024
# What one attempt keeps of nodes; a level beyond it is read again for each step.
KEPT_BYTES: Final = 128 * 1024 * 1024
BESIDES_BYTES: Final = 300  # of one node: its id and what it hangs under
DESCRIBED_PER_READ: Final = 1_000
# Where a label is looked for that no `label_field` names.
LABELS: Final = ("label", "name", "title")
_FLOAT32: Final = BinaryVectorDtype.FLOAT32.value


class NodeStore:
    """The nodes of one version of a taxonomy in one namespace; only reads."""

    def __init__(
        self,
        database: Database[Document],
        config: Config,
        feature: Feature,
        *,
        namespace_id: str,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """`feature` is the one that all source collections have."""
        self._documents = database[DOCUMENTS]
        self._levels = config.levels
        self._feature = feature
        self._namespace_id = namespace_id
        self._left_bytes = kept_bytes
        self._kept: dict[int, Block] = {}

    @staticmethod
    def count(database: Database[Document], config: Config) -> int:
        """How many nodes there are on all levels."""
        ids = [each.collection_id for each in config.sources]
        return database[DOCUMENTS].count_documents({"collection_id": {"$in": ids}})

    def blocks(self, depth: int, size: int) -> Iterator[Block]:
        """All nodes of a level in the order of ids, at most `size` together.

        A level that fits in what may be kept is read once; what changes afterwards is not seen.
        """
        size = max(1, min(size, BLOCK_NODES, BLOCK_BYTES // (4 * self._feature.dimension)))
        if depth in self._kept:
            yield from _cut(self._kept[depth], size)
            return
        held: list[Block] | None = []
        held_bytes = 0
        for block in self._read(self._levels[depth], size):
            yield block
            held_bytes += block.measured.size_bytes + len(block.ids) * BESIDES_BYTES
            if held_bytes > self._left_bytes:
                held = None
            if held is not None:
                held.append(block)
        if held:
            self._kept[depth] = _joined(held)
            self._left_bytes -= held_bytes

    def described(self, depth: int, node_ids: Sequence[str]) -> Mapping[str, Node]:
        """These nodes of the level by id, those that are gone left out."""
        sources = {each.collection_id: each for each in self._levels[depth].sources}
        paths = {path for each in sources.values() for path in _paths(each)}
        projection = _without_overlaps({"collection_id", *map(stored_path, paths)})
        found: dict[str, Node] = {}
        for start in range(0, len(node_ids), DESCRIBED_PER_READ):
            some = list(node_ids[start : start + DESCRIBED_PER_READ])
            query = {**self._scope(list(sources)), "_id": {"$in": some}}
            for row in self._documents.find(query, projection):
                found[row["_id"]] = _node(row, sources[row["collection_id"]])
        return found

    def _read(self, level: Level, size: int) -> Iterator[Block]:
        """Queries for each block: no cursor stays open while others are compared."""
        sources = {each.collection_id: each for each in level.sources}
        parents = {stored_path(s.parent_field) for s in level.sources if s.parent_field}
        path = f"vectors.{self._feature.name}"
        projection = _without_overlaps({"collection_id", path, *parents})
        after = ""
        while True:
            query = {**self._scope(list(sources)), "_id": {"$gt": after}}
            # Ordered within each collection by the index; MongoDB merges the orders.
            cursor = self._documents.find(query, projection, sort=[("_id", ASCENDING)])
            rows = list(cursor.limit(size).batch_size(ROWS_PER_READ))
            if not rows:
                return
            yield self._block(rows, sources)
            after = rows[-1]["_id"]

    def _block(self, rows: Sequence[Document], sources: Mapping[str, Source]) -> Block:
        hooks = []
        for row in rows:
            source = sources[row["collection_id"]]
            value = value_at(row, source.parent_field) if source.parent_field else None
            hooks.append(hook_of(source, value))
        measured = Measured.of(vectors_of(rows, self._feature))
        return Block([row["_id"] for row in rows], measured, hooks)

    def _scope(self, collection_ids: Sequence[str]) -> Document:
        return {"namespace_id": self._namespace_id, "collection_id": {"$in": collection_ids}}


def vectors_of(rows: Sequence[Document], feature: Feature, name: str | None = None) -> Vectors:
    """The rows' vectors under `name`, zeros where there is none of the feature's dimension."""
    name = name or feature.name
    found = np.zeros((len(rows), feature.dimension), np.float32)
    for place, row in enumerate(rows):
        binary = (row.get("vectors") or {}).get(name)
        if isinstance(binary, Binary) and binary[:1] == _FLOAT32:
            vector = np.frombuffer(binary, "<f4", offset=2)
            if len(vector) == feature.dimension:
                found[place] = vector
    return found


def _paths(source: Source) -> list[str]:
    named = [source.label_field] if source.label_field else list(LABELS)
    return [
        *named,
        *([source.key_field] if source.key_field else []),
        *(each.field_path for each in source.enrichment),
    ]


def _without_overlaps(paths: set[str]) -> dict[str, int]:
    """A projection; MongoDB refuses one that names a field and a part of it."""
    return {
        path: 1
        for path in sorted(paths)
        if not any(path.startswith(f"{other}.") for other in paths)
    }


def _node(row: Document, source: Source) -> Node:
    label = _label(row, source)
    key_field = source.key_field or source.label_field
    key = value_at(row, key_field) if key_field else label
    read = {each: value_at(row, each.field_path) for each in source.enrichment}
    values = {each: value for each, value in read.items() if value is not None}
    return Node(row["_id"], row["collection_id"], label, key, values)


def _label(row: Document, source: Source) -> str:
    """What the field says; else the source's own label, and the node's id as a last resort."""
    names = (source.label_field,) if source.label_field else LABELS
    for name in names:
        value: Any = value_at(row, name)
        if isinstance(value, str | int | float) and value != "":
            return str(value)
    return source.label or str(row["_id"])


def _joined(blocks: Sequence[Block]) -> Block:
    return Block(
        [one for block in blocks for one in block.ids],
        Measured.joined([block.measured for block in blocks]),
        [one for block in blocks for one in block.hooks],
    )


def _cut(block: Block, size: int) -> Iterator[Block]:
    for start in range(0, len(block.ids), size):
        part = slice(start, start + size)
        yield Block(block.ids[part], block.measured.part(part), block.hooks[part])
