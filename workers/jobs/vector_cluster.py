"""An execution over vectors: read, fitted, measured, projected and drawn."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.clusters.definition import VectorConfig
from app.clusters.finding import Assignment, Group, Points, Representative
from app.clusters.reading import Selection
from app.clusters.result import Layout, Result
from app.clusters.source import Source
from app.errors import PermanentError
from app.receipts.receipt import JsonObject
from workers.clustering import layout
from workers.clustering.computation import Outcome, Plan, compute
from workers.clustering.matrix import Row
from workers.clustering.metric import Metrics
from workers.clustering.picture import Picture, draw
from workers.clustering.sample import sample

REPORTED_ROWS: Final = 2_000
SCORES: Final = {
    "silhouette": "silhouette_score",
    "davies_bouldin": "davies_bouldin_index",
    "calinski_harabasz": "calinski_harabasz_score",
}
SEED: Final = 42  # of a sample, where the method has no seed of its own


@dataclass(frozen=True, slots=True)
class Finding:
    """What an execution found, before it is stored."""

    assignment: Assignment
    groups: Sequence[Group]
    points: Points | None
    picture: Picture | None
    result: Result


@dataclass(frozen=True, slots=True)
class Watcher:
    """Whom a computation tells how far it is: stages by name, and rows that were read."""

    stage: Callable[[str], None]
    rows: Callable[[int, int], None]


class VectorClustering:
    """Computes one execution; `title` stands over its picture."""

    def __init__(
        self, selection: Selection, source: Source, config: VectorConfig, *, title: str
    ) -> None:
        self._selection = selection
        self._source = source
        self._config = config
        self._title = title
        self._places = array("B")  # of the collections of the rows of the first read, in order

    def find(self, limit_bytes: int, watcher: Watcher) -> Finding:
        """Raises `PermanentError` where there is too little to cluster, or too much to hold."""
        selected = self._selection.vector_count(self._source)
        if selected == 0:
            raise PermanentError("The execution selects no documents: there is nothing to cluster")
        chosen = self._chosen(selected)
        count = self._count(selected, chosen)
        plan = Plan(
            count=count,
            layout=self._layout(),
            parameters=self._config.parameters,
            limit_bytes=limit_bytes,
            projection=self._config.projection.value,
        )
        outcome = compute(lambda: self._rows(chosen, count, watcher), plan, watcher.stage)
        watcher.stage("drawing")
        assignment = Assignment(
            outcome.document_ids,
            outcome.fit.labels,
            np.array(self._places[: len(outcome.document_ids)], np.uint8),
        )
        projection = outcome.projection
        labels = outcome.fit.labels[projection.rows]
        return Finding(
            assignment=assignment,
            groups=list(self._groups(outcome, assignment)),
            points=Points(
                [outcome.document_ids[row] for row in projection.rows.tolist()],
                projection.points,
                labels,
            ),
            picture=draw(projection, outcome.fit.labels, title=self._title),
            result=_result(outcome, selected),
        )

    def _chosen(self, selected: int) -> list[str] | None:
        size = self._config.sample_size
        if size is None or size >= selected:
            return None
        seed = self._config.algorithm_params.get("random_state")
        ids = self._selection.vector_ids(self._source)
        return sample(ids, size, seed if isinstance(seed, int) else SEED)

    def _count(self, selected: int, chosen: Sequence[str] | None) -> int:
        """How many rows there are, exactly; objects that lack a feature are none."""
        if self._source.is_joined:
            count = sum(1 for _ in self._selection.vectors(self._source, chosen))
        else:
            count = selected if chosen is None else len(chosen)
        if count == 0:
            raise PermanentError(
                "No object that the execution selects has all of the features: there is nothing "
                "to cluster"
            )
        return count

    def _layout(self) -> layout.Layout:
        weights = self._config.weights
        parts = tuple(
            layout.Part(feature.name, feature.dimension, weights.get(feature.name, 1.0))
            for feature in self._source.features
        )
        return layout.Layout(parts, normalize=self._config.normalize and self._source.is_joined)

    def _rows(self, chosen: Sequence[str] | None, count: int, watcher: Watcher) -> Iterator[Row]:
        is_first = not self._places
        for read, row in enumerate(self._selection.vectors(self._source, chosen), start=1):
            if is_first:
                self._places.append(row.place)
            if read % REPORTED_ROWS == 0:
                watcher.rows(read, count)
            yield row.document_id, row.vectors

    def _groups(self, outcome: Outcome, assignment: Assignment) -> Iterator[Group]:
        collection_ids = self._selection.collection_ids
        for place, label in enumerate(outcome.fit.clusters.tolist()):
            shown = outcome.representatives[place].tolist()
            yield Group(
                label=label,
                name=f"cluster {label}",
                size=outcome.metrics.sizes[label],
                centroid=outcome.fit.centroids[place],
                representatives=tuple(
                    Representative(
                        assignment.document_ids[row],
                        collection_ids[int(assignment.collections[row])],
                    )
                    for row in shown
                ),
            )


def _result(outcome: Outcome, selected: int) -> Result:
    fit, metrics, projection = outcome.fit, outcome.metrics, outcome.projection
    return Result(
        num_clusters=metrics.cluster_count,
        num_points=metrics.point_count,
        noise_count=metrics.noise_count,
        source_documents=selected,
        metrics=_metrics(metrics),
        converged=fit.converged,
        iterations=fit.iterations,
        notes=tuple(fit.notes),
        is_streamed=outcome.streamed,
        projection=Layout(projection.method, projection.axes, len(projection.rows)),
    )


def _metrics(metrics: Metrics) -> JsonObject:
    """In the words of the contract; a score that is undefined is null, and says why."""
    return {
        "silhouette_score": metrics.silhouette,
        "davies_bouldin_index": metrics.davies_bouldin,
        "calinski_harabasz_score": metrics.calinski_harabasz,
        "avg_cluster_size": metrics.avg_cluster_size,
        "noise_ratio": metrics.noise_ratio,
        "cluster_size_entropy": metrics.cluster_size_entropy,
        "silhouette_points": metrics.silhouette_points,
        "undefined": {SCORES[name]: reason for name, reason in metrics.undefined.items()},
    }
