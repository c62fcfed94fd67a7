"""Vectors of documents, read in a stream into one float32 matrix."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from app.errors import PermanentError
from app.resources.extractor import Vector
from workers.clustering.layout import Layout

# A document's id and its float32 vectors, in the order of the layout's parts.
Row = tuple[str, Sequence[Vector]]
# Reads all rows afresh, in the same order each time.
Read = Callable[[], Iterable[Row]]

BLOCK_ROWS: Final = 8192
# Sums of squares of larger numbers leave what float32 can hold.
LARGEST: Final = 1e15


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of documents: `values` is float32 of shape (len(document_ids), dimension)."""

    document_ids: Sequence[str]
    values: Vector


def fill(rows: Iterable[Row], capacity: int, layout: Layout) -> Matrix:
    """The first `capacity` rows at most, laid out; nothing else of their size is allocated.

    Raises `PermanentError` for a vector of another dimension, or with a number that is not finite
    or beyond ±1e15.
    """
    # Pages that no row is written to never become memory.
    values = np.empty((capacity, layout.dimension), dtype=np.float32)
    places = list(layout.places())
    document_ids: list[str] = []
    for row, (document_id, vectors) in enumerate(islice(rows, capacity)):
        for (part, start, end), vector in zip(places, vectors, strict=True):
            if vector.shape != (part.dimension,):
                raise _misshapen(document_id, part.feature, vector.size, part.dimension)
            values[row, start:end] = vector
        document_ids.append(document_id)
    filled = values[: len(document_ids)]
    layout.scale(filled)
    _require_comparable(document_ids, filled)
    return Matrix(document_ids, filled)


def blocks(rows: Iterable[Row], layout: Layout, size: int = BLOCK_ROWS) -> Iterator[Matrix]:
    """The rows in matrices of `size` rows, the last one perhaps shorter; none is empty."""
    remaining = iter(rows)
    while (block := fill(remaining, size, layout)).document_ids:
        yield block


def _require_comparable(document_ids: Sequence[str], values: Vector) -> None:
    for start in range(0, len(values), BLOCK_ROWS):
        comparable = np.abs(values[start : start + BLOCK_ROWS]).max(axis=1) <= LARGEST
        if not comparable.all():
            document_id = document_ids[start + int(np.argmin(comparable))]
            raise PermanentError(
                f"the vectors of document {document_id} have numbers that are not finite, or "
                f"beyond {LARGEST:.0e}, which cannot be compared: process its object again"
            )


def _misshapen(document_id: str, feature: str, size: int, dimension: int) -> PermanentError:
    return PermanentError(
        f"the {feature} vector of document {document_id} has {size} numbers, and those of the "
        f"others have {dimension}: cluster collections of one extractor together"
    )
