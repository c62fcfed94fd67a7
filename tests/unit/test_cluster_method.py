"""Parameters of clustering methods: what is taken, and what is said of the rest."""

import pytest
from mixpeek import (
    AgglomerativeParams,
    DBSCANParams,
    GaussianMixtureParams,
    HDBSCANParams,
    KMeansParams,
    MeanShiftParams,
    OPTICSParams,
    SpectralParams,
)

from app.clusters.method import MODELS, ClusteringMethod, parse_parameters
from app.clusters.parameters.parameter import right_value
from app.clusters.parameters.partition import AgglomerativeParameters
from app.errors import InvalidError

CLIENT_MODELS = {
    ClusteringMethod.KMEANS: KMeansParams,
    ClusteringMethod.DBSCAN: DBSCANParams,
    ClusteringMethod.HDBSCAN: HDBSCANParams,
    ClusteringMethod.AGGLOMERATIVE: AgglomerativeParams,
    ClusteringMethod.SPECTRAL: SpectralParams,
    ClusteringMethod.GAUSSIAN_MIXTURE: GaussianMixtureParams,
    ClusteringMethod.MEAN_SHIFT: MeanShiftParams,
    ClusteringMethod.OPTICS: OPTICSParams,
}

REFUSED = [
    ("kmeans", {"n_clusters": 1}, "n_clusters is a whole number from 2 to 10000"),
    ("kmeans", {"n_clusters": 8.0}, "n_clusters is a whole number from 2 to 10000"),
    ("kmeans", {"n_init": True}, "n_init is a whole number from 1 to 100"),
    ("kmeans", {"max_iter": 10**400}, "max_iter is a whole number from 1 to 10000"),
    ("kmeans", {"tol": -1}, "tol is a number from 0"),
    ("kmeans", {"tol": float("nan")}, "tol is a number from 0"),
    ("kmeans", {"random_state": -1}, "random_state is a whole number from 0 to 4294967295"),
    ("kmeans", {"algorithm": "auto"}, "algorithm is one of 'lloyd', 'elkan'"),
    ("kmeans", {"batch_size": 512}, "batch_size needs mini_batch to be 'allowed' or 'always'"),
    ("kmeans", {"copy_x": False}, "copy_x stays true: the vectors are needed afterwards"),
    ("dbscan", {"eps": 0}, "eps is a number above 0"),
    ("dbscan", {"p": 3}, "p belongs to the metric 'minkowski', and metric is 'euclidean'"),
    (
        "dbscan",
        {"metric": "cosine", "algorithm": "kd_tree"},
        "algorithm 'kd_tree' has no metric 'cosine': 'auto' has",
    ),
    (
        "dbscan",
        {"n_jobs": -1},
        "n_jobs stays 1: a fit keeps to the threads of its worker, so that it can be repeated",
    ),
    ("hdbscan", {"max_cluster_size": 3}, "max_cluster_size is at least min_cluster_size"),
    ("hdbscan", {"allow_single_cluster": 1}, "allow_single_cluster is true or false"),
    (
        "agglomerative",
        {"affinity": "cosine"},
        "linkage 'ward' needs metric 'euclidean', and it is 'cosine'",
    ),
    (
        "agglomerative",
        {"affinity": "l1", "metric": "l1", "linkage": "single"},
        "affinity is another name of metric: give one of them",
    ),
    (
        "agglomerative",
        {"distance_threshold": 2.0, "n_clusters": 3},
        "n_clusters is null where distance_threshold is given",
    ),
    (
        "agglomerative",
        {"distance_threshold": 2.0, "compute_full_tree": False},
        "compute_full_tree is true where distance_threshold is given",
    ),
    ("spectral", {"eigen_tol": "x"}, "eigen_tol is a number from 0 or 'auto'"),
    ("spectral", {"gamma": 0}, "gamma is a number above 0"),
    (
        "gaussian_mixture",
        {"means_init": [[1.0]]},
        "means_init stays null: where a fit starts comes of random_state and init_params",
    ),
    (
        "mean_shift",
        {"bandwidth": 1.0, "bandwidth_quantile": 0.5},
        "bandwidth_quantile is left out where bandwidth is given",
    ),
    ("mean_shift", {"min_bin_freq": 2}, "min_bin_freq needs bin_seeding to be true"),
    ("mean_shift", {"bandwidth_quantile": 2}, "bandwidth_quantile is a number above 0 to 1"),
    ("optics", {"eps": 1.0}, "eps belongs to cluster_method 'dbscan'"),
    ("optics", {"cluster_method": "dbscan", "xi": 0.1}, "xi belongs to cluster_method 'xi'"),
    (
        "optics",
        {"cluster_method": "dbscan", "eps": 3.0, "max_eps": 2.0},
        "eps is at most max_eps",
    ),
    (
        "optics",
        {"min_cluster_size": "x"},
        "min_cluster_size is a whole number from 2 to 100000 or a number above 0 to 1 or null",
    ),
]


@pytest.mark.parametrize(("method", "raw", "message"), REFUSED)
def test_a_wrong_parameter_is_refused_with_what_would_be_right(
    method: str, raw: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_parameters(ClusteringMethod(method), raw)
    (problem,) = refused.value.problems
    assert problem.message == message
    assert problem.location[0] == "algorithm_params"
    assert problem.location[1] in raw or problem.location[1] == "linkage"


def test_every_wrong_parameter_is_named() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_parameters(ClusteringMethod.KMEANS, {"n_clusters": 0, "tol": "x", "eps": 1})
    places = [problem.location[1] for problem in refused.value.problems]
    assert sorted(map(str, places)) == ["eps", "n_clusters", "tol"]
    assert "kmeans has no parameter 'eps': it has n_clusters, init" in str(refused.value)


@pytest.mark.parametrize("method", ClusteringMethod)
def test_what_the_public_client_sends_by_itself_is_the_default(method: ClusteringMethod) -> None:
    default = parse_parameters(method, {})
    sent = CLIENT_MODELS[method]().model_dump()
    # For the solver that is the default, "auto" is the client's 0.
    sent.pop("eigen_tol", None)
    assert parse_parameters(method, sent) == default


@pytest.mark.parametrize("method", ClusteringMethod)
def test_parameters_survive_being_stored(method: ClusteringMethod) -> None:
    default = parse_parameters(method, {})
    assert parse_parameters(method, default.model_dump()) == default
    for name in type(default).model_fields:
        assert right_value(MODELS[method], name)


def test_a_threshold_takes_the_place_of_the_count() -> None:
    parameters = parse_parameters(ClusteringMethod.AGGLOMERATIVE, {"distance_threshold": 3})
    assert isinstance(parameters, AgglomerativeParameters)
    assert parameters.n_clusters is None
    assert parse_parameters(ClusteringMethod.AGGLOMERATIVE, parameters.model_dump()) == parameters


def test_affinity_is_the_metric() -> None:
    raw = {"affinity": "cosine", "linkage": "average"}
    parameters = parse_parameters(ClusteringMethod.AGGLOMERATIVE, raw)
    assert isinstance(parameters, AgglomerativeParameters)
    assert parameters.metric == "cosine"
