"""How the vectors of a document's features become one row of the matrix that is clustered."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.resources.extractor import Vector

# Rows worked on at once: their float64 copies stay within a few MiB.
_ROWS: Final = 2048


@dataclass(frozen=True, slots=True)
class Part:
    """One feature in the row: its dimension, and how much its squared distances weigh."""

    feature: str
    dimension: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """The features side by side: `|x - y|² = Σ weight·|x_f - y_f|²` over the features f.

    With `normalize`, each feature's vector is first brought to length 1; a vector of zeros stays.
    """

    parts: tuple[Part, ...]
    normalize: bool = False

    @property
    def dimension(self) -> int:
        """Numbers in a row."""
        return sum(part.dimension for part in self.parts)

    def places(self) -> Iterator[tuple[Part, int, int]]:
        """Each part with where its numbers begin and end in a row."""
        start = 0
        for part in self.parts:
            yield part, start, start + part.dimension
            start += part.dimension

    def scale(self, values: Vector) -> None:
        """Normalises and weighs rows of raw vectors, float32 of shape (n, dimension), in place."""
        for part, start, end in self.places():
            view = values[:, start:end]
            # The square root, since distances are of squares.
            factor = np.float32(np.sqrt(part.weight))
            for first in range(0, len(view), _ROWS):
                rows = view[first : first + _ROWS]
                if self.normalize:
                    rows /= _lengths(rows)
                if part.weight != 1.0:
                    rows *= factor


def _lengths(rows: Vector) -> Vector:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    rounded: Vector = lengths.astype(np.float32)
    return rounded
