"""Methods that find dense places and may leave points out: DBSCAN and its kin, mean shift.

Names and defaults are those of scikit-learn 1.9; bandwidth_quantile, and the seed of the sample
that it is estimated from, are the contract's.
"""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from app.clusters.parameters.distance import (
    NO_METRIC_PARAMS,
    Metric,
    PowerMetric,
    Search,
    power_conflicts,
    search_conflicts,
)
from app.clusters.parameters.parameter import (
    ONE_JOB,
    AboveZero,
    Conflict,
    FromZero,
    Iterations,
    LeafSize,
    Members,
    MethodParameters,
    Power,
    Seed,
    Share,
)

AtLeastTwo = Annotated[int, Field(ge=2, le=100_000)]

_OTHER_PACKAGE: Final = "stays false: it belongs to the package hdbscan, not to scikit-learn's"


class DBSCANParameters(MethodParameters):
    """sklearn.cluster.DBSCAN."""

    eps: AboveZero = 0.5
    min_samples: Members = 5
    metric: PowerMetric = "euclidean"
    metric_params: None = Field(None, description=NO_METRIC_PARAMS)
    algorithm: Search = "auto"
    leaf_size: LeafSize = 30
    p: Power = 2.0
    n_jobs: Literal[1] = Field(1, description=ONE_JOB)

    def conflicts(self) -> Iterator[Conflict]:
        """A search or a power that the metric doesn't go with."""
        yield from search_conflicts(self.metric, self.algorithm)
        yield from power_conflicts(self.metric, self.p)


class HDBSCANParameters(MethodParameters):
    """sklearn.cluster.HDBSCAN; `min_samples` null is `min_cluster_size`."""

    min_cluster_size: AtLeastTwo = 5
    min_samples: Members | None = None
    cluster_selection_epsilon: FromZero = 0.0
    max_cluster_size: Annotated[int, Field(ge=1)] | None = None
    metric: Metric = "euclidean"
    alpha: AboveZero = 1.0
    algorithm: Search = "auto"
    leaf_size: LeafSize = 40
    cluster_selection_method: Literal["eom", "leaf"] = "eom"
    allow_single_cluster: bool = False
    prediction_data: Literal[False] = Field(False, description=_OTHER_PACKAGE)
    match_reference_implementation: Literal[False] = Field(False, description=_OTHER_PACKAGE)

    def conflicts(self) -> Iterator[Conflict]:
        """A search that the metric doesn't go with, a largest cluster below the smallest."""
        yield from search_conflicts(self.metric, self.algorithm)
        if self.max_cluster_size is not None and self.max_cluster_size < self.min_cluster_size:
            yield "max_cluster_size", "max_cluster_size is at least min_cluster_size"


class OPTICSParameters(MethodParameters):
    """sklearn.cluster.OPTICS; `max_eps` null is infinity."""

    min_samples: AtLeastTwo = 5
    max_eps: AboveZero | None = None
    metric: PowerMetric = "minkowski"
    p: Power = 2.0
    metric_params: None = Field(None, description=NO_METRIC_PARAMS)
    cluster_method: Literal["xi", "dbscan"] = "xi"
    eps: AboveZero | None = None
    xi: Annotated[float, Field(ge=0, le=1)] = 0.05
    predecessor_correction: bool = True
    min_cluster_size: AtLeastTwo | Share | None = None
    algorithm: Search = "auto"
    leaf_size: LeafSize = 30
    n_jobs: Literal[1] = Field(1, description=ONE_JOB)

    def conflicts(self) -> Iterator[Conflict]:
        """A parameter of the way to extract clusters that wasn't chosen, besides the search's."""
        yield from search_conflicts(self.metric, self.algorithm)
        yield from power_conflicts(self.metric, self.p)
        of_other = ("xi", "predecessor_correction", "min_cluster_size")
        for name in of_other if self.cluster_method == "dbscan" else ("eps",):
            if self.differs(name):
                right = "dbscan" if name == "eps" else "xi"
                yield name, f"{name} belongs to cluster_method '{right}'"
        if self.eps is not None and self.max_eps is not None and self.eps > self.max_eps:
            yield "eps", "eps is at most max_eps"


class MeanShiftParameters(MethodParameters):
    """sklearn.cluster.MeanShift; `bandwidth` null is estimated at `bandwidth_quantile`."""

    bandwidth: AboveZero | None = None
    bandwidth_quantile: Share = 0.1
    random_state: Seed = 42
    seeds: None = Field(None, description="stays null: points, or bins of them, are the seeds")
    bin_seeding: bool = False
    min_bin_freq: Members = 1
    cluster_all: bool = True
    max_iter: Iterations = 300
    n_jobs: Literal[1] = Field(1, description=ONE_JOB)

    def conflicts(self) -> Iterator[Conflict]:
        """A quantile with nothing to estimate, bins without binning."""
        if self.bandwidth is not None and self.differs("bandwidth_quantile"):
            yield "bandwidth_quantile", "bandwidth_quantile is left out where bandwidth is given"
        if not self.bin_seeding and self.differs("min_bin_freq"):
            yield "min_bin_freq", "min_bin_freq needs bin_seeding to be true"
