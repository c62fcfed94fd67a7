"""What vectors must have before a method is fitted to them."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from sklearn.neighbors import NearestNeighbors

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
from workers.clustering.repetition import repeatable

# An affinity of e^-36 is lost beside the 1 that a point has to itself, in float64.
_NO_EDGE: Final = 36.0
# With 7 of 10 points alone a fit of 400 took 0.2 s, with 9 of 10 it took 5.4 s; of 1,000 it did not
# end within minutes.
_MOST_ALONE: Final = 0.75


def require_points(count: int, parameters: Parameters) -> None:
    """Raises `PermanentError` where there are fewer points than a parameter needs."""
    if count == 0:
        raise PermanentError("there are no vectors to cluster")
    for name, least in _least_points(parameters):
        if count < least:
            raise PermanentError(f"{name} needs at least {least} vectors, and there are {count}")


def require_edges(values: Vector, parameters: Parameters) -> None:
    """Raises `PermanentError` for a spectral clustering in whose graph most points stand alone.

    The solver hardly comes to an end there, and nothing would tell its clusters apart.
    """
    match parameters:
        case SpectralParameters(affinity="rbf"):
            metric = "sqeuclidean"
        case SpectralParameters(affinity="laplacian"):
            metric = "manhattan"
        case _:
            return
    with repeatable():
        search = NearestNeighbors(n_neighbors=1, metric=metric, algorithm="brute").fit(values)
        nearest = search.kneighbors()[0][:, 0]
    alone = int(np.count_nonzero(parameters.gamma * nearest > _NO_EDGE))
    if alone > _MOST_ALONE * len(values):
        raise PermanentError(
            f"affinity '{parameters.affinity}' with gamma {parameters.gamma:g} gives {alone:,} of "
            f"{len(values):,} vectors no neighbour: try gamma {1 / float(np.median(nearest)):.1g}, "
            "or affinity 'nearest_neighbors'"
        )


def _least_points(parameters: Parameters) -> Iterator[tuple[str, int]]:
    """What needs as many points as this."""
    match parameters:
        case KMeansParameters():
            yield f"n_clusters {parameters.n_clusters}", parameters.n_clusters
        case GaussianMixtureParameters():
            yield f"n_components {parameters.n_components}", parameters.n_components
            yield "a mixture", 2
        case SpectralParameters():
            # The solver for a sparse graph finds fewer vectors than there are points.
            sparse = parameters.affinity == "nearest_neighbors"
            yield f"n_clusters {parameters.n_clusters}", parameters.n_clusters + sparse
            if parameters.n_components is not None:
                yield f"n_components {parameters.n_components}", parameters.n_components + sparse
            if sparse:
                yield f"n_neighbors {parameters.n_neighbors}", parameters.n_neighbors
        case AgglomerativeParameters():
            yield f"n_clusters {parameters.n_clusters}", parameters.n_clusters or 1
            yield "a hierarchy", 2
        case HDBSCANParameters():
            least = parameters.min_samples or parameters.min_cluster_size
            yield f"min_samples {least}", least
            yield "a hierarchy", 2
        case OPTICSParameters():
            yield f"min_samples {parameters.min_samples}", parameters.min_samples
            if isinstance(parameters.min_cluster_size, int):
                yield f"min_cluster_size {parameters.min_cluster_size}", parameters.min_cluster_size
        case DBSCANParameters() | MeanShiftParameters():
            pass
