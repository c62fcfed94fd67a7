"""One clustering from end to end: read, fit, measure, project."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.clusters.method import Parameters
from app.clusters.parameters.partition import KMeansParameters
from app.errors import PermanentError
from workers.clustering.estimator import Fit, fit
from workers.clustering.grouping import MAX_GROUPS
from workers.clustering.layout import Layout
from workers.clustering.matrix import Read, fill
from workers.clustering.membership import Rows
from workers.clustering.memory import (
    estimate_bytes,
    require_neighbours_room,
    require_room,
    require_stream_room,
)
from workers.clustering.metric import Metrics, measure
from workers.clustering.projection import Projection, ProjectionMethod, project
from workers.clustering.representative import representatives
from workers.clustering.stream import Stream


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be computed, of how many rows, in how much memory."""

    count: int
    layout: Layout
    parameters: Parameters
    limit_bytes: int
    projection: ProjectionMethod = "pca"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; rows are places in `document_ids`.

    `representatives` are in the order of `fit.clusters`. `streamed`: the matrix was never in
    memory as a whole (mini-batches), and the scores are those of a sample.
    """

    document_ids: Sequence[str]
    fit: Fit
    metrics: Metrics
    representatives: Sequence[Rows]
    projection: Projection
    streamed: bool


def compute(read: Read, plan: Plan, on_stage: Callable[[str], None]) -> Outcome:
    """Calls `on_stage` with reading, fitting, measuring, projecting as each begins.

    Raises `PermanentError` before anything is read where the memory does not suffice; of DBSCAN,
    whose memory the vectors decide, before it is fitted; and for more than 10,000 clusters.
    """
    if plan.count == 0:
        raise PermanentError("there are no vectors to cluster")
    if is_streamed(plan):
        return _stream(read, plan, on_stage)
    require_room(plan.count, plan.layout.dimension, plan.parameters, plan.limit_bytes)
    on_stage("reading")
    matrix = fill(read(), plan.count, plan.layout)
    on_stage("fitting")
    require_neighbours_room(matrix.values, plan.parameters, plan.limit_bytes)
    found = fit(matrix.values, plan.parameters)
    _require_few(found)
    on_stage("measuring")
    metrics = measure(matrix.values, found.labels)
    shown = representatives(matrix.values, found)
    on_stage("projecting")
    projection = project(matrix.values, plan.projection)
    return Outcome(matrix.document_ids, found, metrics, shown, projection, streamed=False)


def is_streamed(plan: Plan) -> bool:
    """Whether mini-batches take over: k-means that allows them, and whose matrix has no room."""
    match plan.parameters:
        case KMeansParameters(mini_batch="allowed" | "always"):
            needed = estimate_bytes(plan.count, plan.layout.dimension, plan.parameters)
            return needed > plan.limit_bytes
        case _:
            return False


def _require_few(found: Fit) -> None:
    if len(found.clusters) > MAX_GROUPS:
        raise PermanentError(
            f"the vectors fall into {len(found.clusters):,} clusters, and {MAX_GROUPS:,} are the "
            "most: choose parameters that make fewer"
        )


def _stream(read: Read, plan: Plan, on_stage: Callable[[str], None]) -> Outcome:
    assert isinstance(plan.parameters, KMeansParameters)
    require_stream_room(plan.count, plan.layout.dimension, plan.parameters, plan.limit_bytes)
    stream = Stream(read, plan.layout, plan.count)
    on_stage("reading")
    sample = stream.sample()
    on_stage("fitting")
    found = stream.fit(sample, plan.parameters)
    on_stage("measuring")
    metrics = measure(sample.values, found.fit.labels, scored=sample.rows)
    on_stage("projecting")
    inside = project(sample.values, plan.projection)
    projection = replace(inside, rows=sample.rows[inside.rows])
    return Outcome(
        found.document_ids, found.fit, metrics, found.representatives, projection, streamed=True
    )
