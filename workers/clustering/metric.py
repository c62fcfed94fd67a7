"""What tells a good clustering from a poor one, as scikit-learn computes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import davies_bouldin_score, silhouette_score
from sklearn.utils import check_random_state

from app.resources.extractor import Vector
from workers.clustering.membership import (
    NOISE,
    Labels,
    Rows,
    clusters_of,
    members_of,
    squared_distances,
)
from workers.clustering.repetition import repeatable

# Silhouette takes the distances of all pairs; beyond this it is that of a sample.
SILHOUETTE_POINTS: Final = 10_000
# As sklearn.metrics.silhouette_score draws its sample with this random_state.
SILHOUETTE_SEED: Final = 42


@dataclass(frozen=True, slots=True)
class Metrics:
    """Scores of the points that are no noise; `undefined` says why a score is None.

    `sizes` has each cluster's points by its label, ascending; `cluster_size_entropy` is Shannon's
    of their shares, in nats. `silhouette_points` says how many points the silhouette is of.
    """

    cluster_count: int
    point_count: int
    noise_count: int
    noise_ratio: float
    sizes: Mapping[int, int]
    avg_cluster_size: float | None
    cluster_size_entropy: float | None
    silhouette: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None
    silhouette_points: int
    undefined: Mapping[str, str]


def measure(
    values: Vector,
    labels: Labels,
    *,
    scored: Rows | None = None,
    most_points: int = SILHOUETTE_POINTS,
) -> Metrics:
    """Metrics of `values`, float32 of shape (n, d), under `labels` of shape (n,).

    Where `scored` names rows of the labels, `values` has those rows only, and the scores are
    theirs; counts and sizes are of all labels. The silhouette is that of `most_points` at most.
    """
    inside = labels if scored is None else labels[scored]
    kept = inside != NOISE
    points = values if kept.all() else values[kept]
    inside = inside[kept]
    sampled, of_sampled = _sample(points, inside, most_points)
    undefined: dict[str, str] = {}

    def score(name: str, of: Callable[..., float], some: Vector, theirs: Labels) -> float | None:
        reason = _undefined(theirs)
        if reason is None:
            return float(of(some, theirs))
        undefined[name] = reason
        return None

    with repeatable():
        silhouette = score("silhouette", silhouette_score, sampled, of_sampled)
        davies_bouldin = score("davies_bouldin", davies_bouldin_score, points, inside)
        calinski_harabasz = score("calinski_harabasz", _calinski_harabasz, points, inside)
    found, counts = np.unique(labels[labels != NOISE], return_counts=True)
    noise = int(len(labels) - counts.sum())
    shares = counts / counts.sum() if len(counts) else counts
    return Metrics(
        cluster_count=len(found),
        point_count=len(labels),
        noise_count=noise,
        noise_ratio=noise / len(labels) if len(labels) else 0.0,
        sizes=dict(zip(found.tolist(), counts.tolist(), strict=True)),
        avg_cluster_size=float(counts.mean()) if len(counts) else None,
        # abs: the entropy of one cluster is 0, not -0.
        cluster_size_entropy=abs(float(-(shares * np.log(shares)).sum())) if len(counts) else None,
        silhouette=silhouette,
        davies_bouldin=davies_bouldin,
        calinski_harabasz=calinski_harabasz,
        silhouette_points=len(sampled),
        undefined=undefined,
    )


def _sample(points: Vector, labels: Labels, most: int) -> tuple[Vector, Labels]:
    if len(points) <= most:
        return points, labels
    rows = check_random_state(SILHOUETTE_SEED).permutation(len(points))[:most]
    return points[rows], labels[rows]


def _calinski_harabasz(points: Vector, labels: Labels) -> float:
    """As sklearn.metrics.calinski_harabasz_score, which takes five times the points' memory."""
    members = members_of(labels, clusters_of(labels))
    centre = points.mean(axis=0, dtype=np.float64)
    between, within = 0.0, 0.0
    for rows in members:
        mean = points[rows].mean(axis=0, dtype=np.float64)
        between += len(rows) * float(((mean - centre) ** 2).sum())
        within += float(squared_distances(points, rows, mean).sum())
    if within == 0:
        return 1.0
    return between * (len(points) - len(members)) / (within * (len(members) - 1))


def _undefined(labels: Labels) -> str | None:
    """Why these labels have no score, or None: they have."""
    clusters = len(np.unique(labels))
    if clusters < 2:
        return "a score compares at least two clusters"
    if clusters == len(labels):
        return "each point is a cluster of its own"
    return None
