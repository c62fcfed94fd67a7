"""The nodes that are most like each of some documents, by exact cosine; pure.

Matrix products of float32 find the candidates; each is then measured alone, in float64. So the
result is the same to the last bit however the nodes are cut into blocks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]  # (rows, dimension)
Scores = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_PAIRS: Final = 1_000_000  # node–document pairs of one product
MEASURED_NUMBERS: Final = 2_000_000  # float64 numbers of each side that are measured at once


@dataclass(frozen=True, slots=True)
class Hit:
    """A document's node, by the node's place in the order of ids, and their cosine."""

    place: int
    score: float


class Ranking:
    """The best `top_k` nodes above the threshold for each document, as blocks of nodes come in.

    Blocks come in the order of the nodes' ids, which breaks ties. Zero vectors, and such as hold
    no finite length, are like nothing.
    """

    def __init__(self, documents: Vectors, *, top_k: int, threshold: float) -> None:
        self._documents = documents
        self._lengths = lengths(documents)
        self._units = units(documents, self._lengths)
        self._top_k = top_k
        self._threshold = threshold
        # Rounding of a product of unit vectors stays below dimension × 2^-24, with as much again
        # for the rounding of the units.
        self._margin = (documents.shape[1] + 16) * 2.0**-22
        self._worst = np.full(len(documents), threshold)
        self._best = _Pairs.empty()
        self._seen = 0

    def add(self, nodes: Vectors, eligible: Mask | None = None) -> list[int]:
        """Takes the next nodes in; `eligible` (documents, nodes) says which pairs may be.

        The places in this block of the nodes that are among the best so far.
        """
        node_lengths = lengths(nodes)
        alike = self._units @ units(nodes, node_lengths).T
        alike[:, node_lengths == 0] = -np.inf
        alike[self._lengths == 0] = -np.inf
        if eligible is not None:
            alike[~eligible] = -np.inf
        rows, columns = np.nonzero(alike >= self._floor(alike)[:, None])
        scores = self._measure(nodes, node_lengths, rows, columns)
        is_above = scores > self._threshold
        found = _Pairs(rows[is_above], columns[is_above] + self._seen, scores[is_above])
        self._best = self._best.joined(found).best(self._top_k)
        self._worst = self._best.worst(len(self._documents), self._top_k, self._threshold)
        places = self._best.places
        kept = np.unique(places[places >= self._seen]) - self._seen
        self._seen += len(nodes)
        return [int(place) for place in kept]

    def hits(self) -> list[list[Hit]]:
        """Those of each document, the best first."""
        found: list[list[Hit]] = [[] for _ in self._documents]
        best = self._best
        for row, place, score in zip(best.rows, best.places, best.scores, strict=True):
            found[int(row)].append(Hit(int(place), float(score)))
        return found

    def _floor(self, alike: Vectors) -> npt.NDArray[np.float32]:
        """What a pair of each document needs at least, as far as float32 can tell."""
        floor = self._worst
        if alike.shape[1] > self._top_k:
            place = alike.shape[1] - self._top_k
            floor = np.maximum(floor, np.partition(alike, place, axis=1)[:, place])
        found: npt.NDArray[np.float32] = (floor - 2 * self._margin).astype(np.float32)
        return found

    def _measure(
        self, nodes: Vectors, node_lengths: Scores, rows: Places, columns: Places
    ) -> Scores:
        scores = np.empty(len(rows))
        size = max(1, MEASURED_NUMBERS // nodes.shape[1])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            left = self._documents[rows[part]].astype(np.float64)
            right = nodes[columns[part]].astype(np.float64)
            length = self._lengths[rows[part]] * node_lengths[columns[part]]
            scores[part] = np.clip((left * right).sum(axis=1) / length, -1.0, 1.0)
        return scores


def lengths(vectors: Vectors) -> Scores:
    """The Euclidean length of each, 0 for one that is not finite."""
    if not len(vectors):
        return np.zeros(0)
    wide = vectors.astype(np.float64)
    found: Scores = np.sqrt((wide * wide).sum(axis=1))
    return np.where(np.isfinite(found), found, 0.0)


def units(vectors: Vectors, known: Scores) -> Vectors:
    """The vectors at length 1; those of length 0 become zeros."""
    divisors = np.where(known > 0, known, np.inf)
    scaled: Vectors = np.nan_to_num(vectors / divisors[:, None]).astype(np.float32)
    return scaled


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of document and node with their scores: three columns of one length."""

    rows: Places
    places: Places
    scores: Scores

    @classmethod
    def empty(cls) -> "_Pairs":
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def joined(self, other: "_Pairs") -> "_Pairs":
        return _Pairs(
            np.concatenate((self.rows, other.rows)),
            np.concatenate((self.places, other.places)),
            np.concatenate((self.scores, other.scores)),
        )

    def best(self, top_k: int) -> "_Pairs":
        """The first `top_k` of each document, by score, then by place."""
        order = np.lexsort((self.places, -self.scores, self.rows))
        rows = self.rows[order]
        ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
        order = order[ranks < top_k]
        return _Pairs(self.rows[order], self.places[order], self.scores[order])

    def worst(self, documents: int, top_k: int, threshold: float) -> Scores:
        """What a further node of each document has to reach: the last of a full row's scores."""
        counts = np.bincount(self.rows, minlength=documents)
        found = np.full(documents, threshold)
        is_last = np.append(self.rows[1:] != self.rows[:-1], True) if len(self.rows) else None
        if is_last is not None:
            found[self.rows[is_last]] = self.scores[is_last]
        return np.where(counts == top_k, found, threshold)
