"""The nodes that are most like each of some documents, by exact cosine; pure.

Matrix products of float32 find the candidates; each is then measured alone, in float64. So the
result is the same to the last bit however the nodes are cut into blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]  # (rows, dimension)
Scores = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_PAIRS: Final = 1_000_000  # node–document pairs of one product
MEASURED_NUMBERS: Final = 1_000_000  # of a side, float64, that are measured at once
CROWD: Final = 4  # candidates for each place among the best, before it pays to look closer


@dataclass(frozen=True, slots=True)
class Hit:
    """A document's node, by the node's place in the order of ids, and their cosine."""

    place: int
    score: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Vectors with what every comparison of them needs: their lengths, and themselves at length 1.

    A vector that holds no finite length has length 0, and those of length 0 stay zeros.
    """

    vectors: Vectors
    lengths: Scores
    units: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> Self:
        """The vectors, measured."""
        wide = vectors.astype(np.float64)
        lengths = np.sqrt((wide * wide).sum(axis=1))
        lengths[~np.isfinite(lengths)] = 0.0
        units = np.zeros_like(vectors)
        np.divide(wide, lengths[:, None], out=wide, where=lengths[:, None] > 0)
        np.copyto(units, wide, where=lengths[:, None] > 0, casting="same_kind")
        return cls(vectors, lengths, units)

    @classmethod
    def joined(cls, parts: Sequence["Measured"]) -> Self:
        """All of these, in order."""
        return cls(
            np.concatenate([each.vectors for each in parts]),
            np.concatenate([each.lengths for each in parts]),
            np.concatenate([each.units for each in parts]),
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def part(self, within: slice) -> "Measured":
        """Some of them, not copied."""
        return Measured(self.vectors[within], self.lengths[within], self.units[within])

    @property
    def size_bytes(self) -> int:
        return self.vectors.nbytes + self.lengths.nbytes + self.units.nbytes


class Ranking:
    """The best `top_k` nodes above the threshold for each document, as blocks of nodes come in.

    Blocks come in the order of the nodes' ids, which breaks ties. Zero vectors, and such as hold
    no finite length, are like nothing.
    """

    def __init__(self, documents: Vectors, *, top_k: int, threshold: float) -> None:
        self._documents = Measured.of(documents)
        self._top_k = top_k
        self._threshold = threshold
        # Rounding of a product of unit vectors stays below dimension × 2^-24, with as much again
        # for the rounding of the units; twice, for it may have gone either way.
        self._margin = 2 * (documents.shape[1] + 16) * 2.0**-22
        self._worst = np.full(len(documents), threshold)
        self._best = _Pairs.empty()
        self._seen = 0

    def add(self, nodes: Measured, eligible: Mask | None = None) -> list[int]:
        """Takes the next nodes in; `eligible` (documents, nodes) says which pairs may be.

        The places in this block of the nodes that are among the best so far.
        """
        first, self._seen = self._seen, self._seen + len(nodes)
        rows, columns = self._candidates(nodes, eligible)
        if not len(rows):
            return []
        scores = self._measure(nodes, rows, columns)
        is_above = scores > self._threshold
        found = _Pairs(rows[is_above], columns[is_above] + first, scores[is_above])
        self._best = self._best.joined(found).best(self._top_k)
        self._worst = self._best.worst(len(self._documents), self._top_k, self._threshold)
        places = self._best.places
        return [int(place) for place in np.unique(places[places >= first]) - first]

    def hits(self) -> list[list[Hit]]:
        """Those of each document, the best first."""
        found: list[list[Hit]] = [[] for _ in range(len(self._documents))]
        best = self._best
        for row, place, score in zip(best.rows, best.places, best.scores, strict=True):
            found[int(row)].append(Hit(int(place), float(score)))
        return found

    def _candidates(self, nodes: Measured, eligible: Mask | None) -> tuple[Places, Places]:
        """Pairs, as rows and columns, that may be among the best as far as float32 can tell."""
        alike = self._documents.units @ nodes.units.T
        near: Mask = alike >= (self._worst - self._margin).astype(np.float32)[:, None]
        if not nodes.lengths.all():
            near[:, nodes.lengths == 0] = False
        if not self._documents.lengths.all():
            near[self._documents.lengths == 0] = False
        if eligible is not None:
            near &= eligible
        self._thin_out(alike, near)
        # On the flat array: NumPy takes far longer for both axes at once.
        rows, columns = np.divmod(np.flatnonzero(near), len(nodes))
        return rows, columns

    def _thin_out(self, alike: Vectors, near: Mask) -> None:
        """Leaves to documents with many candidates those that may be their best of this block."""
        crowded = np.flatnonzero(np.count_nonzero(near, axis=1) > CROWD * self._top_k)
        if len(crowded):
            theirs = np.where(near[crowded], alike[crowded], np.float32(-np.inf))
            place = theirs.shape[1] - self._top_k
            least = np.partition(theirs, place, axis=1)[:, place] - np.float32(self._margin)
            near[crowded] &= theirs >= least[:, None]

    def _measure(self, nodes: Measured, rows: Places, columns: Places) -> Scores:
        scores = np.empty(len(rows))
        documents = self._documents
        size = max(1, MEASURED_NUMBERS // nodes.vectors.shape[1])
        for start in range(0, len(rows), size):
            row, column = rows[start : start + size], columns[start : start + size]
            products = documents.vectors[row].astype(np.float64)
            products *= nodes.vectors[column]
            length = documents.lengths[row] * nodes.lengths[column]
            scores[start : start + size] = np.clip(products.sum(axis=1) / length, -1.0, 1.0)
        return scores


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
