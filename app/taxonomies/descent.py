"""From the roots of a taxonomy down to the nodes that documents are assigned to.

At each level the best nodes are kept among the children of those that were kept above. A descent
ends where nothing below it was kept.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from app.taxonomies.assignment import Assignment, Node, Step
from app.taxonomies.config import Level, Source
from app.taxonomies.similarity import MAX_PAIRS, Hit, Mask, Measured, Ranking, Vectors

# What a node may hang under: a collection (None: any) and a key (ANY: whatever it is).
Hook = tuple[str | None, Hashable]
ANY: Final = ("any",)
NOTHING: Final = ("nothing",)


@dataclass(frozen=True, slots=True)
class Block:
    """Nodes of one level in the order of their ids, and what each of them hangs under."""

    ids: Sequence[str]
    measured: Measured
    hooks: Sequence[Hook]


class Nodes(Protocol):
    """Where nodes come from."""

    def blocks(self, depth: int, size: int) -> Iterator[Block]:
        """All nodes of a level in the order of ids, at most `size` together."""

    def described(self, depth: int, node_ids: Sequence[str]) -> Mapping[str, Node]:
        """These nodes of the level by id, those that are gone left out."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A node that was kept for one document, below its best kept parent."""

    step: Step
    hook: Hook
    parent: "_Kept | None" = None

    @property
    def path(self) -> tuple[Step, ...]:
        above = () if self.parent is None else self.parent.path
        return (*above, self.step)


def key_of(value: object) -> Hashable:
    """What makes two values the same key: numbers are equal as in JSON, and no boolean is one."""
    match value:
        case bool() | str():
            return (type(value).__name__, value)
        case int() | float():
            return ("number", value)
        case _:
            return NOTHING


def hook_of(source: Source, value: object) -> Hook:
    """What a node of the source hangs under whose parent field has this value."""
    key = ANY if source.parent_field is None else key_of(value)
    return (source.parent_collection_id, key)


def assign(documents: Vectors, levels: Sequence[Level], nodes: Nodes) -> list[list[Assignment]]:
    """The assignments of each document, the best score first, ties by id; empty for no match."""
    ended: list[list[_Kept]] = [[] for _ in documents]
    alive: list[list[_Kept]] = [[] for _ in documents]
    for depth, level in enumerate(levels):
        kept = _keep(documents, depth, level, alive, nodes)
        for row, below in enumerate(kept):
            ended[row] += _childless(alive[row], below)
        alive = kept
        if not any(alive):
            break
    return [
        [Assignment(each.path) for each in sorted([*over, *last], key=_order)]
        for over, last in zip(ended, alive, strict=True)
    ]


def _order(kept: _Kept) -> tuple[float, str]:
    return (-kept.step.score, kept.step.node.node_id)


def _childless(parents: Sequence[_Kept], below: Sequence[_Kept]) -> list[_Kept]:
    """Those that nothing of the level below hangs under."""
    hooks = {each.hook for each in below}
    return [each for each in parents if hooks.isdisjoint(_offers(each))]


def _keep(
    documents: Vectors,
    depth: int,
    level: Level,
    above: Sequence[Sequence[_Kept]],
    nodes: Nodes,
) -> list[list[_Kept]]:
    """What each document keeps of this level, the best first."""
    offered = None if depth == 0 else _Offered.by(above)
    ranking = Ranking(documents, top_k=level.top_k, threshold=level.threshold)
    found: dict[int, tuple[str, Hook]] = {}
    seen = 0
    for block in nodes.blocks(depth, max(1, MAX_PAIRS // max(1, len(documents)))):
        eligible = None if offered is None else offered.to(block.hooks)
        if eligible is None or eligible.any():
            for place in ranking.add(block.measured, eligible):
                found[seen + place] = (block.ids[place], block.hooks[place])
            seen += len(block.ids)
    hits = ranking.hits()
    ids = {found[hit.place][0] for row in hits for hit in row}
    described = nodes.described(depth, sorted(ids))
    return [
        [
            _kept(described[node_id], hit, hook, parents)
            for hit in row
            for node_id, hook in [found[hit.place]]
            if node_id in described
        ]
        for row, parents in zip(hits, above, strict=True)
    ]


def _kept(node: Node, hit: Hit, hook: Hook, parents: Sequence[_Kept]) -> _Kept:
    """The node below the first, so the best, of the parents that it hangs under."""
    parent = next((each for each in parents if hook in _offers(each)), None)
    return _Kept(Step(node, hit.score), hook, parent)


def _offers(kept: _Kept) -> tuple[Hook, ...]:
    """Every hook that may hang under it."""
    collection_id, key = kept.step.node.collection_id, key_of(kept.step.node.key)
    keyed = () if key == NOTHING else ((None, key), (collection_id, key))
    return ((None, ANY), (collection_id, ANY), *keyed)


@dataclass(frozen=True, slots=True)
class _Offered:
    """What the kept nodes above offer: hooks by column, and which document has which."""

    columns: Mapping[Hook, int]
    table: Mask  # (documents, hooks + 1), the last column false

    @classmethod
    def by(cls, above: Sequence[Sequence[_Kept]]) -> "_Offered":
        columns: dict[Hook, int] = {}
        pairs = [
            (row, columns.setdefault(hook, len(columns)))
            for row, kept in enumerate(above)
            for each in kept
            for hook in _offers(each)
        ]
        table = np.zeros((len(above), len(columns) + 1), np.bool_)
        for row, column in pairs:
            table[row, column] = True
        return cls(columns, table)

    def to(self, hooks: Sequence[Hook]) -> Mask:
        """Which document's kept nodes offer what each of these nodes hangs under."""
        mask: Mask = self.table[:, [self.columns.get(hook, -1) for hook in hooks]]
        return mask
