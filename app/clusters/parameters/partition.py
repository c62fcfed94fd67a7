"""Methods that give every point a cluster: k-means, mixtures, spectral and agglomerative.

Names and defaults are those of scikit-learn 1.9, except where the contract sets its own: k-means'
n_init of 10, and the seed 42. A parameter that takes one value only is there because clients of
this API send it; it says why it takes no other.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import AliasChoices, Field, model_validator

from app.clusters.parameters.distance import Metric
from app.clusters.parameters.parameter import (
    ONE_JOB,
    QUIET,
    AboveZero,
    Conflict,
    FromZero,
    Iterations,
    MethodParameters,
    Seed,
    Starts,
)

Clusters = Annotated[int, Field(ge=2, le=10_000)]

_NO_STARTS: Final = "stays null: where a fit starts comes of random_state and init_params"


class KMeansParameters(MethodParameters):
    """sklearn.cluster.KMeans, and MiniBatchKMeans where `mini_batch` has it."""

    n_clusters: Clusters = 8
    init: Literal["k-means++", "random"] = "k-means++"
    n_init: Starts = 10
    max_iter: Iterations = 300
    tol: FromZero = 1e-4
    random_state: Seed = 42
    algorithm: Literal["lloyd", "elkan"] = "lloyd"
    # allowed: where the vectors don't fit into the memory that a fit may take.
    mini_batch: Literal["never", "allowed", "always"] = "never"
    batch_size: Annotated[int, Field(ge=256, le=65_536)] = 1024
    verbose: Literal[0] = Field(0, description=QUIET)
    copy_x: Literal[True] = Field(True, description="stays true: the vectors are needed afterwards")

    def conflicts(self) -> Iterator[Conflict]:
        """A batch size that nothing would use."""
        if self.mini_batch == "never" and self.differs("batch_size"):
            yield "batch_size", "batch_size needs mini_batch to be 'allowed' or 'always'"


class GaussianMixtureParameters(MethodParameters):
    """sklearn.mixture.GaussianMixture."""

    n_components: Annotated[int, Field(ge=1, le=10_000)] = 1
    covariance_type: Literal["full", "tied", "diag", "spherical"] = "full"
    tol: FromZero = 1e-3
    reg_covar: FromZero = 1e-6
    max_iter: Iterations = 100
    n_init: Starts = 1
    init_params: Literal["kmeans", "k-means++", "random", "random_from_data"] = "kmeans"
    random_state: Seed = 42
    weights_init: None = Field(None, description=_NO_STARTS)
    means_init: None = Field(None, description=_NO_STARTS)
    precisions_init: None = Field(None, description=_NO_STARTS)
    warm_start: Literal[False] = Field(
        False, description="stays false: each execution is a fit of its own"
    )
    verbose: Literal[0] = Field(0, description=QUIET)
    verbose_interval: Literal[10] = Field(10, description=QUIET)


class SpectralParameters(MethodParameters):
    """sklearn.cluster.SpectralClustering."""

    n_clusters: Clusters = 8
    eigen_solver: Literal["arpack", "lobpcg"] | None = None
    n_components: Annotated[int, Field(ge=1, le=10_000)] | None = None
    random_state: Seed = 42
    n_init: Starts = 10
    gamma: AboveZero = 1.0
    affinity: Literal["rbf", "nearest_neighbors", "laplacian", "cosine", "poly", "sigmoid"] = "rbf"
    n_neighbors: Annotated[int, Field(ge=1, le=10_000)] = 10
    # For arpack, scikit-learn's "auto" is 0, which the public client sends.
    eigen_tol: FromZero | Literal["auto"] = "auto"
    assign_labels: Literal["kmeans", "discretize", "cluster_qr"] = "kmeans"
    degree: FromZero = 3.0
    coef0: float = 1.0
    kernel_params: None = Field(None, description="stays null: gamma, degree and coef0 are keys")
    n_jobs: Literal[1] = Field(1, description=ONE_JOB)
    verbose: Literal[False] = Field(False, description=QUIET)


class AgglomerativeParameters(MethodParameters):
    """sklearn.cluster.AgglomerativeClustering; `affinity` is the metric's name of old."""

    n_clusters: Clusters | None = 2
    metric: Metric = Field("euclidean", validation_alias=AliasChoices("metric", "affinity"))
    linkage: Literal["ward", "complete", "average", "single"] = "ward"
    distance_threshold: AboveZero | None = None
    compute_full_tree: Literal["auto"] | bool = "auto"
    compute_distances: Literal[False] = Field(
        False, description="stays false: nothing reads the distances of merges"
    )
    connectivity: None = Field(None, description="stays null: every point may join every other")
    memory: None = Field(None, description="stays null: nothing is cached between executions")

    @model_validator(mode="before")
    @classmethod
    def _threshold_in_place_of_count(cls, raw: Mapping[str, object]) -> Mapping[str, object]:
        if raw.get("distance_threshold") is None:
            return raw
        return {"n_clusters": None, **raw}

    def conflicts(self) -> Iterator[Conflict]:
        """Ward with another metric; a threshold with a count, or with half a tree."""
        if self.linkage == "ward" and self.metric != "euclidean":
            yield "linkage", f"linkage 'ward' needs metric 'euclidean', and it is '{self.metric}'"
        if self.distance_threshold is None:
            return
        if self.n_clusters is not None:
            yield "n_clusters", "n_clusters is null where distance_threshold is given"
        if self.compute_full_tree is False:
            yield "compute_full_tree", "compute_full_tree is true where distance_threshold is given"
