"""K-means over vectors that are never in memory all at once.

Mini-batches (Sculley 2010) as scikit-learn's partial_fit takes them. The centres start from a fit
of points spread over the whole stream, and then learn from passes over all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from app.clusters.parameters.partition import KMeansParameters
from app.errors import TransientError
from app.resources.extractor import Vector
from workers.clustering.estimator import Fit, fit, mini_batches
from workers.clustering.layout import Layout
from workers.clustering.matrix import BLOCK_ROWS, Matrix, Read, Row, blocks
from workers.clustering.membership import Rows, clusters_of
from workers.clustering.projection import spread
from workers.clustering.repetition import repeatable
from workers.clustering.representative import Nearest

# Passes over all vectors in which the centres learn; they mostly stand still after two or three.
MAX_PASSES: Final = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows that scores and picture are of, and their values."""

    rows: Rows
    values: Vector


@dataclass(frozen=True, slots=True)
class StreamFit:
    """A fit, with what only a pass over all vectors can know."""

    document_ids: list[str]
    fit: Fit
    representatives: list[Rows]


class Stream:
    """The first `count` rows that `read` gives at first, in each of the passes.

    Rows that come later are left out; one that is gone raises `TransientError`.
    """

    def __init__(self, read: Read, layout: Layout, count: int) -> None:
        self._read = read
        self._layout = layout
        self._count = count
        self._ids: list[str] | None = None

    def sample(self) -> Sample:
        """Rows spread evenly over the stream, as many as a picture shows."""
        rows = spread(self._count)
        values = np.empty((len(rows), self._layout.dimension), dtype=np.float32)
        for start, block in self._blocks(BLOCK_ROWS):
            first, last = np.searchsorted(rows, [start, start + len(block.values)])
            values[first:last] = block.values[rows[first:last] - start]
        kept = int(np.searchsorted(rows, self._count))
        return Sample(rows[:kept], values[:kept])

    def fit(self, sample: Sample, parameters: KMeansParameters) -> StreamFit:
        """Learns the centres, then gives each row the nearest one."""
        begun = fit(sample.values, parameters.model_copy(update={"mini_batch": "never"}))
        with repeatable():
            estimator = mini_batches(parameters)
            estimator.set_params(
                n_clusters=len(begun.centroids),
                init=begun.centroids,
                n_init=1,
                compute_labels=False,
                # The start is a good one: no centre is moved to a point drawn by chance.
                reassignment_ratio=0.0,
            )
            tolerance = parameters.tol * float(np.var(sample.values, axis=0).mean())
            passes, converged = self._learn(estimator, parameters, tolerance)
            return self._assign(estimator, passes, converged, begun.notes)

    def _learn(
        self, estimator: MiniBatchKMeans, parameters: KMeansParameters, tolerance: float
    ) -> tuple[int, bool]:
        rng = np.random.default_rng(parameters.random_state)
        for done in range(1, min(MAX_PASSES, parameters.max_iter) + 1):
            before = getattr(estimator, "cluster_centers_", None)
            earlier = None if before is None else before.copy()
            for _, block in self._blocks(max(BLOCK_ROWS, parameters.batch_size)):
                # Neighbours in the stream are often alike; a batch is to be of all kinds.
                shuffled = rng.permutation(len(block.values))
                for start in range(0, len(shuffled), parameters.batch_size):
                    some = shuffled[start : start + parameters.batch_size]
                    estimator.partial_fit(block.values[some])
            if earlier is not None:
                moved = float(((estimator.cluster_centers_ - earlier) ** 2).sum())
                if moved <= tolerance:
                    return done, True
        return done, False

    def _assign(
        self, estimator: MiniBatchKMeans, passes: int, converged: bool, notes: Sequence[str]
    ) -> StreamFit:
        labels = np.empty(self._count, dtype=np.int32)
        every = np.arange(len(estimator.cluster_centers_), dtype=np.int32)
        nearest = Nearest(every, estimator.cluster_centers_)
        for start, block in self._blocks(BLOCK_ROWS):
            found = estimator.predict(block.values).astype(np.int32)
            labels[start : start + len(found)] = found
            nearest.add(block.values, found, first_row=start)
        clusters = clusters_of(labels)
        centroids = estimator.cluster_centers_[clusters].astype(np.float32)
        found_fit = Fit(labels, clusters, centroids, converged, passes, notes)
        shown = [nearest.rows[cluster] for cluster in clusters.tolist()]
        return StreamFit(self._ids or [], found_fit, shown)

    def _blocks(self, size: int) -> Iterator[tuple[int, Matrix]]:
        """Each block with the row that it begins at."""
        start, ids = 0, list[str]()
        for block in blocks(self._rows(), self._layout, size):
            yield start, block
            start += len(block.values)
            if self._ids is None:
                ids += block.document_ids
        if self._ids is None:
            # The first pass says how many there are: perhaps fewer than were counted.
            self._ids, self._count = ids, start

    def _rows(self) -> Iterator[Row]:
        if self._ids is None:
            yield from islice(self._read(), self._count)
            return
        found = iter(self._read())
        for document_id in self._ids:
            # Each pass is in one order: what stands before the row that is wanted came later.
            row = next((row for row in found if row[0] == document_id), None)
            if row is None:
                raise _changed()
            yield row


def _changed() -> TransientError:
    return TransientError("documents were removed while they were read")
