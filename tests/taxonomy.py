"""A taxonomy's nodes in memory, and the assignment written down as its definition reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.taxonomies.assignment import Node
from app.taxonomies.config import Level
from app.taxonomies.descent import Block, hook_of
from app.taxonomies.similarity import Measured, Vectors

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A node of one level, with its vector and what it and its parent are known by."""

    node: Node
    vector: Vectors
    parent_value: object = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Nodes by level, in the order of their ids; `block_size` bounds what comes together."""

    levels: Sequence[Level]
    nodes: Sequence[Sequence[Kept]]
    block_size: int

    def blocks(self, depth: int, size: int) -> Iterator[Block]:
        """All nodes of a level."""
        sources = {each.collection_id: each for each in self.levels[depth].sources}
        size = min(size, self.block_size)
        for start in range(0, len(self.nodes[depth]), size):
            some = self.nodes[depth][start : start + size]
            yield Block(
                [each.node.node_id for each in some],
                Measured.of(np.array([each.vector for each in some], np.float32)),
                [hook_of(sources[each.node.collection_id], each.parent_value) for each in some],
            )

    def described(self, depth: int, node_ids: Sequence[str]) -> Mapping[str, Node]:
        """These nodes of a level."""
        found = {each.node.node_id: each.node for each in self.nodes[depth]}
        return {one: found[one] for one in node_ids}


def cosine(one: Vectors, other: Vectors) -> float | None:
    """By the definition; None for a zero vector, which is like nothing."""
    left, right = one.astype(np.float64), other.astype(np.float64)
    length = np.linalg.norm(left) * np.linalg.norm(right)
    return None if length == 0 else float(left @ right / length)


def reference(document: Vectors, memory: Memory) -> dict[Path, float]:
    """The paths, by ids, that a document is assigned, and the scores of their ends."""
    above: dict[str, tuple[Path, Kept]] = {}
    found: dict[Path, float] = {}
    for depth, level in enumerate(memory.levels):
        rated = [
            (score, each)
            for each in memory.nodes[depth]
            if (score := cosine(document, each.vector)) is not None and score > level.threshold
            if depth == 0 or _parents(each, level, above)
        ]
        rated.sort(key=lambda pair: (-pair[0], pair[1].node.node_id))
        below: dict[str, tuple[Path, Kept]] = {}
        used: set[str] = set()
        for score, each in rated[: level.top_k]:
            parents = _parents(each, level, above) if depth else []
            path = (*above[parents[0]][0], each.node.node_id) if depth else (each.node.node_id,)
            below[each.node.node_id] = (path, each)
            used.update(parents)
            found[path] = score
        for parent in used:
            found.pop(above[parent][0], None)
        if not below:
            break
        above = below
    return found


def _parents(each: Kept, level: Level, above: Mapping[str, tuple[Path, Kept]]) -> list[str]:
    """The kept nodes above that it hangs under, in the order in which they were kept."""
    (source,) = [one for one in level.sources if one.collection_id == each.node.collection_id]
    return [
        node_id
        for node_id, (_, parent) in above.items()
        if source.parent_collection_id in (None, parent.node.collection_id)
        if source.parent_field is None or parent.node.key == each.parent_value
    ]
