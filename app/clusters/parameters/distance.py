"""Which distances, and which searches for neighbours can work with them."""

from collections.abc import Iterator
from typing import Final, Literal

from app.clusters.parameters.parameter import Conflict

# Those of scikit-learn's that need nothing but the two vectors, and take vectors of any numbers.
Metric = Literal[
    "euclidean",
    "l2",
    "manhattan",
    "l1",
    "cityblock",
    "chebyshev",
    "cosine",
    "correlation",
    "braycurtis",
    "canberra",
]
PowerMetric = Literal[Metric, "minkowski"]
Search = Literal["auto", "ball_tree", "kd_tree", "brute"]

NO_METRIC_PARAMS: Final = "stays null: no metric of this method takes any; p has a key of its own"

# As sklearn.neighbors.VALID_METRICS has it.
_NOT_IN: Final = {
    "ball_tree": ("cosine", "correlation"),
    "kd_tree": ("cosine", "correlation", "braycurtis", "canberra"),
}


def search_conflicts(metric: str, algorithm: str) -> Iterator[Conflict]:
    """A tree that cannot be built for this metric."""
    if metric in _NOT_IN.get(algorithm, ()):
        yield "algorithm", f"algorithm '{algorithm}' has no metric '{metric}': 'auto' has"


def power_conflicts(metric: str, p: float) -> Iterator[Conflict]:
    """A power for a metric without one."""
    if metric != "minkowski" and p != 2:
        yield "p", f"p belongs to the metric 'minkowski', and metric is '{metric}'"
