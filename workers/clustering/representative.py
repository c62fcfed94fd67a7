"""The members that show best what a cluster is about."""

from typing import Final

import numpy as np
import numpy.typing as npt

from app.resources.extractor import Vector
from workers.clustering.estimator import Fit
from workers.clustering.membership import Labels, Rows, members_of, squared_distances

COUNT: Final = 5


def representatives(values: Vector, fit: Fit, count: int = COUNT) -> list[Rows]:
    """For each of `fit.clusters`, the rows nearest to its centroid, nearest first, ties by row."""
    nearest = Nearest(fit.clusters, fit.centroids, count)
    nearest.add(values, fit.labels, first_row=0)
    return nearest.rows


class Nearest:
    """The nearest rows of each cluster among those added so far, in the order of their rows."""

    def __init__(self, clusters: Labels, centroids: Vector, count: int = COUNT) -> None:
        self._clusters = clusters
        self._centroids = centroids
        self._count = count
        self.rows: list[Rows] = [np.empty(0, dtype=np.int64) for _ in clusters]
        self._distances: list[npt.NDArray[np.float64]] = [np.empty(0) for _ in clusters]

    def add(self, values: Vector, labels: Labels, *, first_row: int) -> None:
        """Rows from `first_row` on, each beyond all that were added before."""
        members = members_of(labels, self._clusters)
        for place, (inside, centre) in enumerate(zip(members, self._centroids, strict=True)):
            if not len(inside):
                continue
            distances = squared_distances(values, inside, centre)
            distances = np.concatenate([self._distances[place], distances])
            rows = np.concatenate([self.rows[place], inside + first_row])
            kept = np.argsort(distances, kind="stable")[: self._count]
            self.rows[place], self._distances[place] = rows[kept], distances[kept]
