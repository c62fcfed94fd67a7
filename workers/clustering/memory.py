"""How much memory a fit takes, known before it starts.

Measured as the peak of a process, beyond what it holds when idle: agglomerative 8.0 bytes for each
pair of 8,000 points; spectral 34.2 of 4,000; HDBSCAN by brute force 19.3 of 5,000; OPTICS so 10.3
of 4,000; DBSCAN 26.8 for each pair of neighbours, of 10,000 points; k-means 3.0 times its matrix of
98 MiB, a mixture 5.5 times one of 12 MiB. What is below lies a little above.
"""

from typing import Final

import numpy as np
from sklearn.metrics import pairwise_distances

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
from workers.clustering.matrix import BLOCK_ROWS
from workers.clustering.metric import SILHOUETTE_POINTS
from workers.clustering.projection import POINTS
from workers.clustering.repetition import PIECE_MIB, repeatable

SETTING: Final = "WAYBILL_CLUSTER_MEMORY_MIB"
MIB: Final = 1024 * 1024

# Estimators' own small change, and the picture.
_FIXED_BYTES: Final = 48 * MIB
_PIECE_BYTES: Final = PIECE_MIB * MIB * 5 // 4
# An id, its label, its place among the members.
_ROW_BYTES: Final = 200
_NEIGHBOUR_BYTES: Final = 28
# Points whose neighbours are counted to know how many there are of all, and what for the chance
# that they have fewer than most.
_COUNTED_POINTS: Final = 256
_CHANCE: Final = 1.5
# Metrics that no tree goes with, whose distances are all computed at once.
_BRUTE: Final = ("cosine", "correlation")
_NOISY: Final = (DBSCANParameters, HDBSCANParameters, OPTICSParameters, MeanShiftParameters)


def estimate_bytes(count: int, dimension: int, parameters: Parameters) -> int:
    """At most this much beyond an idle worker: matrix, fit, metrics and picture together.

    Without the neighbours of DBSCAN, which the vectors decide: `require_neighbours_room`.
    """
    matrix = 4 * count * dimension
    fit = _fit_bytes(count, dimension, parameters)
    # Scores copy the largest cluster, and all points that are no noise where there is any.
    copies = 2 if isinstance(parameters, _NOISY) else 1
    after = copies * matrix + _sample_bytes(count, dimension)
    return _FIXED_BYTES + _ROW_BYTES * count + matrix + max(fit, after)


def estimate_stream_bytes(count: int, dimension: int, parameters: KMeansParameters) -> int:
    """The same of k-means by mini-batches over a stream, without the matrix."""
    blocks = 4 * 4 * dimension * max(BLOCK_ROWS, parameters.batch_size)
    centres = 4 * 8 * dimension * parameters.n_clusters
    batch = 8 * parameters.n_clusters * max(BLOCK_ROWS, parameters.batch_size)
    sample = _sample_bytes(count, dimension) + 4 * min(count, POINTS) * dimension
    return _FIXED_BYTES + _ROW_BYTES * count + blocks + centres + batch + sample


def require_room(count: int, dimension: int, parameters: Parameters, limit_bytes: int) -> None:
    """Raises `PermanentError` saying what would help where the estimate is over the limit."""
    _require(estimate_bytes(count, dimension, parameters), count, parameters, limit_bytes)


def require_stream_room(
    count: int, dimension: int, parameters: KMeansParameters, limit_bytes: int
) -> None:
    """The same of the stream."""
    needed = estimate_stream_bytes(count, dimension, parameters)
    _require(needed, count, parameters, limit_bytes)


def require_neighbours_room(values: Vector, parameters: Parameters, limit_bytes: int) -> None:
    """The same once the vectors are there, for DBSCAN: each point's neighbours are held at once.

    How many there are is told from the neighbours of 256 points.
    """
    if not isinstance(parameters, DBSCANParameters) or not len(values):
        return
    count, dimension = values.shape
    rows = np.unique(np.linspace(0, count - 1, min(count, _COUNTED_POINTS)).astype(np.int64))
    power = {"p": parameters.p} if parameters.metric == "minkowski" else {}
    found = 0
    with repeatable():
        for start in range(0, count, BLOCK_ROWS):
            some = values[start : start + BLOCK_ROWS]
            distances = pairwise_distances(values[rows], some, metric=parameters.metric, **power)
            found += int(np.count_nonzero(distances <= parameters.eps))
    neighbours = min(count, found / len(rows) * _CHANCE) * count
    needed = estimate_bytes(count, dimension, parameters) + int(_NEIGHBOUR_BYTES * neighbours)
    _require(needed, count, parameters, limit_bytes)


def _fit_bytes(count: int, dimension: int, parameters: Parameters) -> int:
    """Beside the matrix itself."""
    matrix, pairs = 4 * count * dimension, count * count
    match parameters:
        case KMeansParameters():
            bounds = 4 * count * parameters.n_clusters if parameters.algorithm == "elkan" else 0
            return 2 * matrix + int(1.2 * bounds) + 16 * dimension * parameters.n_clusters
        case GaussianMixtureParameters():
            components = parameters.n_components
            covariances = dimension if parameters.covariance_type in ("full", "tied") else 1
            return 5 * matrix + 32 * count * components + 32 * components * dimension * covariances
        case SpectralParameters():
            neighbours = 128 * count * parameters.n_neighbors
            found = parameters.n_components or parameters.n_clusters
            graph = neighbours if parameters.affinity == "nearest_neighbors" else 36 * pairs
            return graph + 64 * count * found
        case AgglomerativeParameters():
            return matrix + int(8.5 * pairs)
        case HDBSCANParameters():
            brute = parameters.metric in _BRUTE or parameters.algorithm == "brute"
            return 4 * matrix + (20 * pairs if brute else 0)
        case OPTICSParameters():
            brute = parameters.metric in _BRUTE or parameters.algorithm == "brute"
            return 4 * matrix + (11 * pairs if brute else 0)
        case DBSCANParameters() | MeanShiftParameters():
            return 4 * matrix + _PIECE_BYTES


def _sample_bytes(count: int, dimension: int) -> int:
    """What silhouette and the picture take of points drawn for them."""
    silhouette = _PIECE_BYTES + 3 * 4 * min(count, SILHOUETTE_POINTS) * dimension
    picture = 4 * 4 * min(count, POINTS) * dimension + 3 * 8 * dimension * dimension
    return max(silhouette, picture)


def _require(needed: int, count: int, parameters: Parameters, limit_bytes: int) -> None:
    if needed <= limit_bytes:
        return
    ways = ["a smaller sample_size", "another method"]
    if isinstance(parameters, KMeansParameters) and parameters.mini_batch == "never":
        ways.insert(1, "mini_batch 'allowed'")
    raise PermanentError(
        f"{count:,} vectors need about {needed // MIB + 1:,} MiB, and {SETTING} allows "
        f"{limit_bytes // MIB:,} MiB: {', '.join(ways)} or a larger {SETTING} would do"
    )
