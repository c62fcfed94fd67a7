"""scikit-learn's estimators, run so that the same matrix gives the same labels to the last bit."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from sklearn.cluster import (
    DBSCAN,
    HDBSCAN,
    OPTICS,
    AgglomerativeClustering,
    KMeans,
    MeanShift,
    MiniBatchKMeans,
    SpectralClustering,
    estimate_bandwidth,
)
from sklearn.mixture import GaussianMixture

from app.clusters.method import Parameters
from app.clusters.parameters.density import (
    DBSCANParameters,
    HDBSCANParameters,
    MeanShiftParameters,
    OPTICSParameters,
)
from app.clusters.parameters.partition import (
    AgglomerativeParameters,
    GaussianMixtureParameters,
    KMeansParameters,
    SpectralParameters,
)
from app.errors import PermanentError
from app.resources.extractor import Vector
from workers.clustering.membership import Labels, clusters_of, means_of, members_of
from workers.clustering.precondition import require_edges, require_points
from workers.clustering.repetition import repeatable

# The bandwidth of a mean shift is estimated from this many points at most: it takes the distances
# of all their pairs.
BANDWIDTH_POINTS: Final = 2000


@dataclass(frozen=True, slots=True)
class Fit:
    """Which cluster each row belongs to.

    `labels` has shape (n,), scikit-learn's own numbers, -1 for noise; `clusters` are the labels
    that have members, ascending; `centroids` is float32 of shape (len(clusters), dimension), in
    their order: the estimator's own, or else the means. `converged` and `iterations` are None for
    methods that don't iterate. `notes` are sentences for whoever reads the result.
    """

    labels: Labels
    clusters: Labels
    centroids: Vector
    converged: bool | None
    iterations: int | None
    notes: Sequence[str] = ()


class _Estimator(Protocol):
    def fit_predict(self, values: Vector) -> Labels: ...


def fit(values: Vector, parameters: Parameters) -> Fit:
    """Fits the method that the parameters are of to `values`, float32 of shape (n, d).

    Raises `PermanentError` where these parameters don't go with these vectors: more clusters than
    rows, no rows, a graph without edges, a covariance that cannot be inverted.
    """
    require_points(len(values), parameters)
    require_edges(values, parameters)
    with repeatable(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("always", UserWarning)
        # Said of every matrix that has as many rows as columns.
        warnings.filterwarnings("ignore", message="The spectral clustering API has changed")
        try:
            estimator = _estimator(values, parameters)
            labels = estimator.fit_predict(values).astype(np.int32)
        except (ValueError, ArithmeticError, RuntimeError, LookupError, TypeError) as exc:
            raise _unfit(exc, parameters) from exc
    notes = dict.fromkeys(_sentence(warning.message) for warning in said)
    clusters = clusters_of(labels)
    converged, iterations = _rounds(estimator)
    return Fit(
        labels=labels,
        clusters=clusters,
        centroids=_centroids(estimator, values, labels, clusters),
        converged=converged,
        iterations=iterations,
        notes=tuple(notes),
    )


def mini_batches(parameters: KMeansParameters) -> MiniBatchKMeans:
    """An estimator with these parameters, not fitted."""
    return MiniBatchKMeans(
        **parameters.model_dump(exclude={"mini_batch", "algorithm", "copy_x"}),
    )


def _estimator(values: Vector, parameters: Parameters) -> _Estimator:
    """The names of our parameters are those of scikit-learn's; what it doesn't know is left out."""
    found: _Estimator
    match parameters:
        case KMeansParameters(mini_batch="always"):
            found = mini_batches(parameters)
        case KMeansParameters():
            found = KMeans(**parameters.model_dump(exclude={"mini_batch", "batch_size"}))
        case GaussianMixtureParameters():
            found = GaussianMixture(**parameters.model_dump())
        case SpectralParameters():
            found = SpectralClustering(**parameters.model_dump())
        case AgglomerativeParameters():
            found = AgglomerativeClustering(**parameters.model_dump())
        case DBSCANParameters():
            found = DBSCAN(**parameters.model_dump())
        case HDBSCANParameters():
            others = {"prediction_data", "match_reference_implementation"}
            # Nothing is copied either way: that is for distances given in place of vectors.
            found = HDBSCAN(**parameters.model_dump(exclude=others), copy=True)
        case OPTICSParameters():
            max_eps = np.inf if parameters.max_eps is None else parameters.max_eps
            found = OPTICS(**parameters.model_dump(exclude={"max_eps"}), max_eps=max_eps)
        case MeanShiftParameters():
            others = {"bandwidth", "bandwidth_quantile", "random_state"}
            bandwidth = parameters.bandwidth or _bandwidth(values, parameters)
            found = MeanShift(**parameters.model_dump(exclude=others), bandwidth=bandwidth)
    return found


def _bandwidth(values: Vector, parameters: MeanShiftParameters) -> float:
    bandwidth = estimate_bandwidth(
        values,
        quantile=parameters.bandwidth_quantile,
        n_samples=BANDWIDTH_POINTS if len(values) > BANDWIDTH_POINTS else None,
        random_state=parameters.random_state,
    )
    if bandwidth > 0:
        return float(bandwidth)
    raise PermanentError(
        "no bandwidth can be estimated, since nearest points are equal: give a bandwidth, "
        "or a larger bandwidth_quantile"
    )


def _unfit(error: Exception, parameters: Parameters) -> PermanentError:
    match parameters:
        case HDBSCANParameters() if isinstance(error, (LookupError, TypeError)):
            # scikit-learn stumbles where its search climbs past the root of the tree.
            reason = (
                f"cluster_selection_epsilon {parameters.cluster_selection_epsilon:g} with alpha "
                f"{parameters.alpha:g} joins all of these vectors: lower it, or leave alpha at 1"
            )
        case MeanShiftParameters():
            reason = f"no bin has min_bin_freq {parameters.min_bin_freq} vectors: lower it"
        case SpectralParameters():
            reason = (
                f"affinity '{parameters.affinity}' of these vectors gives no graph that can be "
                "cut: try 'rbf' or 'nearest_neighbors', or another gamma"
            )
        case _:
            reason = f"these vectors cannot be clustered so: {_sentence(error)}"
    return PermanentError(reason)


def _sentence(said: Warning | Exception | str) -> str:
    """What scikit-learn says, in one line."""
    return " ".join(str(said).split())


def _centroids(estimator: _Estimator, values: Vector, labels: Labels, clusters: Labels) -> Vector:
    match estimator:
        case KMeans() | MiniBatchKMeans() | MeanShift():
            found = estimator.cluster_centers_[clusters]
        case GaussianMixture():
            found = estimator.means_[clusters]
        case _:
            found = means_of(values, members_of(labels, clusters))
    return np.asarray(found, dtype=np.float32)


def _rounds(estimator: _Estimator) -> tuple[bool | None, int | None]:
    """Whether it converged, and after how many iterations."""
    match estimator:
        case GaussianMixture():
            return bool(estimator.converged_), int(estimator.n_iter_)
        case KMeans() | MiniBatchKMeans() | MeanShift():
            iterations = int(estimator.n_iter_)
            return iterations < estimator.max_iter, iterations
        case _:
            return None, None
