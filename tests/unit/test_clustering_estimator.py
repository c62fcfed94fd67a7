"""Labels are scikit-learn's own, for every method; what cannot be fitted says why."""

from collections.abc import Callable

import numpy as np
import pytest
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

from app.clusters.method import ClusteringMethod, parse_parameters
from app.errors import PermanentError
from app.resources.extractor import Vector
from workers.clustering.estimator import Fit, fit
from workers.clustering.membership import Labels
from workers.clustering.representative import representatives


def blobs(count: int = 120, dimension: int = 6, centres: int = 4) -> Vector:
    """Four clouds, some points of which lie between them."""
    rng = np.random.default_rng(7)
    middles = rng.normal(scale=4, size=(centres, dimension))
    inside = middles[np.arange(count) % centres] + rng.normal(size=(count, dimension))
    return inside.astype(np.float32)


def clustered(values: Vector, method: str, raw: dict[str, object]) -> Fit:
    return fit(values, parse_parameters(ClusteringMethod(method), raw))


def bandwidth(values: Vector) -> float:
    return float(estimate_bandwidth(values, quantile=0.1))


Direct = Callable[[Vector], Labels]
CASES: list[tuple[str, dict[str, object], Direct]] = [
    ("kmeans", {}, lambda x: KMeans(8, n_init=10, random_state=42).fit_predict(x)),
    (
        "kmeans",
        {"n_clusters": 3, "algorithm": "elkan", "init": "random", "n_init": 2, "random_state": 1},
        lambda x: KMeans(3, algorithm="elkan", init="random", n_init=2, random_state=1).fit_predict(
            x
        ),
    ),
    (
        "kmeans",
        {"n_clusters": 4, "mini_batch": "always", "batch_size": 256},
        lambda x: MiniBatchKMeans(
            4, n_init=10, max_iter=300, tol=1e-4, batch_size=256, random_state=42
        ).fit_predict(x),
    ),
    ("dbscan", {"eps": 2.5}, lambda x: DBSCAN(eps=2.5).fit_predict(x)),
    (
        "dbscan",
        {"eps": 4.0, "metric": "minkowski", "p": 1.5, "min_samples": 4, "algorithm": "ball_tree"},
        lambda x: DBSCAN(
            eps=4.0, metric="minkowski", p=1.5, min_samples=4, algorithm="ball_tree"
        ).fit_predict(x),
    ),
    (
        "dbscan",
        {"eps": 0.05, "metric": "cosine"},
        lambda x: DBSCAN(eps=0.05, metric="cosine").fit_predict(x),
    ),
    ("hdbscan", {}, lambda x: HDBSCAN(copy=True).fit_predict(x)),
    (
        "hdbscan",
        {"min_cluster_size": 8, "min_samples": 3, "cluster_selection_method": "leaf"},
        lambda x: HDBSCAN(8, min_samples=3, cluster_selection_method="leaf", copy=True).fit_predict(
            x
        ),
    ),
    (
        "hdbscan",
        {"metric": "cosine", "allow_single_cluster": True},
        lambda x: HDBSCAN(metric="cosine", allow_single_cluster=True, copy=True).fit_predict(x),
    ),
    ("agglomerative", {}, lambda x: AgglomerativeClustering(2).fit_predict(x)),
    (
        "agglomerative",
        {"affinity": "cosine", "linkage": "average", "n_clusters": 5},
        lambda x: AgglomerativeClustering(5, metric="cosine", linkage="average").fit_predict(x),
    ),
    (
        "agglomerative",
        {"distance_threshold": 20.0},
        lambda x: AgglomerativeClustering(None, distance_threshold=20.0).fit_predict(x),
    ),
    (
        "spectral",
        {"n_clusters": 4, "gamma": 0.05},
        lambda x: SpectralClustering(4, gamma=0.05, random_state=42).fit_predict(x),
    ),
    (
        "spectral",
        {"affinity": "nearest_neighbors", "n_neighbors": 40, "assign_labels": "cluster_qr"},
        lambda x: SpectralClustering(
            affinity="nearest_neighbors",
            n_neighbors=40,
            assign_labels="cluster_qr",
            random_state=42,
        ).fit_predict(x),
    ),
    ("gaussian_mixture", {}, lambda x: GaussianMixture(random_state=42).fit_predict(x)),
    (
        "gaussian_mixture",
        {"n_components": 4, "covariance_type": "tied", "init_params": "k-means++", "n_init": 2},
        lambda x: GaussianMixture(
            4, covariance_type="tied", init_params="k-means++", n_init=2, random_state=42
        ).fit_predict(x),
    ),
    ("mean_shift", {}, lambda x: MeanShift(bandwidth=bandwidth(x)).fit_predict(x)),
    (
        "mean_shift",
        {"bandwidth": 3.0, "bin_seeding": True, "cluster_all": False},
        lambda x: MeanShift(bandwidth=3.0, bin_seeding=True, cluster_all=False).fit_predict(x),
    ),
    ("optics", {}, lambda x: OPTICS().fit_predict(x)),
    (
        "optics",
        {"cluster_method": "dbscan", "eps": 2.5, "max_eps": 9.0, "min_samples": 4},
        lambda x: OPTICS(cluster_method="dbscan", eps=2.5, max_eps=9.0, min_samples=4).fit_predict(
            x
        ),
    ),
    (
        "optics",
        {"xi": 0.1, "min_cluster_size": 0.05, "metric": "cosine"},
        lambda x: OPTICS(xi=0.1, min_cluster_size=0.05, metric="cosine").fit_predict(x),
    ),
]


@pytest.mark.parametrize(("method", "raw", "direct"), CASES)
def test_labels_are_those_of_scikit_learn(
    method: str, raw: dict[str, object], direct: Direct
) -> None:
    values = blobs()
    before = values.copy()
    found = clustered(values, method, raw)
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(found.labels, direct(values))
    np.testing.assert_array_equal(values, before)
    assert set(found.clusters.tolist()) == set(found.labels.tolist()) - {-1}
    assert found.centroids.shape == (len(found.clusters), values.shape[1])
    assert found.centroids.dtype == np.float32

    again = clustered(values, method, raw)
    assert again.labels.tobytes() == found.labels.tobytes()
    assert again.centroids.tobytes() == found.centroids.tobytes()


def test_every_method_has_a_case() -> None:
    assert {method for method, _, _ in CASES} == set(ClusteringMethod)


def test_a_fit_of_many_points_repeats_itself_to_the_last_bit() -> None:
    values = blobs(20_000, 32, 9)
    raw: dict[str, object] = {"n_init": 1, "max_iter": 8}
    fits = [clustered(values, "kmeans", raw) for _ in range(4)]
    assert len({one.centroids.tobytes() for one in fits}) == 1
    assert len({one.labels.tobytes() for one in fits}) == 1


def test_centroids_are_means_where_the_estimator_has_none() -> None:
    values = blobs()
    found = clustered(values, "agglomerative", {"n_clusters": 3})
    for cluster, centroid in zip(found.clusters, found.centroids, strict=True):
        inside = values[found.labels == cluster].astype(np.float64)
        np.testing.assert_allclose(centroid, inside.mean(axis=0), rtol=1e-6)


def test_representatives_are_the_nearest_members() -> None:
    values = blobs()
    found = clustered(values, "kmeans", {"n_clusters": 4})
    for place, rows in enumerate(representatives(values, found)):
        away = ((values.astype(np.float64) - found.centroids[place]) ** 2).sum(axis=1)
        away[found.labels != found.clusters[place]] = np.inf
        assert rows.tolist() == np.argsort(away, kind="stable")[:5].tolist()


def test_representatives_at_one_distance_come_in_their_order() -> None:
    values = np.repeat(np.array([[0, 0], [9, 9]], dtype=np.float32), 8, axis=0)
    found = clustered(values, "kmeans", {"n_clusters": 2})
    shown = {rows[0]: rows.tolist() for rows in representatives(values, found)}
    assert shown == {0: [0, 1, 2, 3, 4], 8: [8, 9, 10, 11, 12]}


def test_what_an_iteration_came_to_is_told() -> None:
    values = blobs()
    short = clustered(values, "kmeans", {"max_iter": 1, "n_init": 1})
    assert (short.converged, short.iterations) == (False, 1)
    assert clustered(values, "kmeans", {}).converged is True
    assert clustered(values, "dbscan", {}).converged is None


ONE = np.ones((1, 3), dtype=np.float32)
EQUAL = np.ones((20, 3), dtype=np.float32)
UNFIT: list[tuple[str, dict[str, object], Vector, str]] = [
    ("kmeans", {}, ONE[:0], "there are no vectors to cluster"),
    ("kmeans", {}, ONE, "n_clusters 8 needs at least 8 vectors, and there are 1"),
    ("gaussian_mixture", {}, ONE, "a mixture needs at least 2 vectors, and there are 1"),
    ("gaussian_mixture", {"n_components": 21}, EQUAL, "n_components 21 needs at least 21"),
    ("spectral", {}, ONE, "n_clusters 8 needs at least 8 vectors"),
    (
        "spectral",
        {"affinity": "nearest_neighbors", "n_neighbors": 21},
        EQUAL,
        "n_neighbors 21 needs at least 21 vectors, and there are 20",
    ),
    ("agglomerative", {"distance_threshold": 1.0}, ONE, "a hierarchy needs at least 2 vectors"),
    ("hdbscan", {}, ONE, "min_samples 5 needs at least 5 vectors, and there are 1"),
    ("optics", {"min_samples": 30}, EQUAL, "min_samples 30 needs at least 30 vectors"),
    ("mean_shift", {}, EQUAL, "no bandwidth can be estimated, since nearest points are equal"),
    (
        "mean_shift",
        {"bandwidth": 1.0, "bin_seeding": True, "min_bin_freq": 50},
        EQUAL,
        "no bin has min_bin_freq 50 vectors: lower it",
    ),
    (
        "agglomerative",
        {"metric": "cosine", "linkage": "average"},
        EQUAL * 0,
        "these vectors cannot be clustered so: Cosine affinity cannot be used",
    ),
    ("spectral", {"affinity": "cosine"}, blobs(), "affinity 'cosine' of these vectors gives no"),
    (
        "spectral",
        {"gamma": 50.0},
        blobs(),
        "affinity 'rbf' with gamma 50 gives 1\\d\\d of 120 vectors no neighbour: try gamma 0",
    ),
    ("spectral", {"affinity": "laplacian", "gamma": 50.0}, blobs(), "affinity 'laplacian' with"),
    (
        "hdbscan",
        {"cluster_selection_epsilon": 300.0},
        blobs(),
        "cluster_selection_epsilon 300 with alpha 1 joins all of these vectors",
    ),
]


@pytest.mark.parametrize(("method", "raw", "values", "message"), UNFIT)
def test_what_cannot_be_fitted_says_why(
    method: str, raw: dict[str, object], values: Vector, message: str
) -> None:
    with pytest.raises(PermanentError, match=f"^{message}"):
        clustered(values, method, raw)


def test_equal_points_are_one_cluster_and_it_is_noted() -> None:
    found = clustered(EQUAL, "kmeans", {"n_clusters": 2})
    assert found.clusters.tolist() == [0]
    assert found.centroids.tolist() == [[1.0, 1.0, 1.0]]
    assert "Number of distinct clusters (1) found smaller than n_clusters (2)" in found.notes[0]


def test_one_point_is_noise_or_a_cluster() -> None:
    assert clustered(ONE, "dbscan", {}).clusters.tolist() == []
    assert clustered(ONE, "dbscan", {}).centroids.shape == (0, 3)
    assert clustered(ONE, "mean_shift", {"bandwidth": 1.0}).labels.tolist() == [0]
