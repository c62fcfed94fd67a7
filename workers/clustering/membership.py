"""Which rows a cluster has."""

from typing import Final

import numpy as np
import numpy.typing as npt

from app.resources.extractor import Vector

NOISE: Final = -1

# Shape (n,): the cluster of each row, NOISE for none.
Labels = npt.NDArray[np.int32]
# Places in a matrix, ascending unless it is said otherwise.
Rows = npt.NDArray[np.int64]

_CHUNK_ROWS: Final = 2048


def clusters_of(labels: Labels) -> Labels:
    """The labels that have members, ascending, without noise."""
    found: Labels = np.unique(labels[labels != NOISE]).astype(np.int32)
    return found


def members_of(labels: Labels, clusters: Labels) -> list[Rows]:
    """The rows of each of the clusters, in their order."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    ordered = labels[order]
    starts = np.searchsorted(ordered, clusters, side="left")
    ends = np.searchsorted(ordered, clusters, side="right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


def means_of(values: Vector, members: list[Rows]) -> Vector:
    """The mean of each cluster's rows, summed in float64; float32 of shape (len(members), d)."""
    means = np.empty((len(members), values.shape[1]), dtype=np.float32)
    for place, rows in enumerate(members):
        total = np.zeros(values.shape[1])
        for start in range(0, len(rows), _CHUNK_ROWS):
            total += values[rows[start : start + _CHUNK_ROWS]].sum(axis=0, dtype=np.float64)
        means[place] = total / len(rows)
    return means


def squared_distances(
    values: Vector, rows: Rows, centre: Vector | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """From each of the rows to the centre, in float64."""
    distances = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK_ROWS):
        some = rows[start : start + _CHUNK_ROWS]
        apart = values[some].astype(np.float64) - centre
        distances[start : start + len(some)] = np.einsum("ij,ij->i", apart, apart)
    return distances
