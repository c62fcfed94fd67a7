"""Metrics equal scikit-learn's to 1e-9; an undefined one says why."""

import numpy as np
import pytest
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from app.resources.extractor import Vector
from workers.clustering.membership import Labels
from workers.clustering.metric import measure

EXACT = 1e-9


def clouds(count: int, dimension: int = 5) -> tuple[Vector, Labels]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, count).astype(np.int32)
    values = rng.normal(size=(count, dimension)) + labels[:, None] * 2.5
    return values.astype(np.float32), labels


def test_scores_are_those_of_scikit_learn() -> None:
    values, labels = clouds(500)
    found = measure(values, labels)
    assert found.silhouette == pytest.approx(silhouette_score(values, labels), rel=EXACT)
    assert found.davies_bouldin == pytest.approx(davies_bouldin_score(values, labels), rel=EXACT)
    expected = calinski_harabasz_score(values, labels)
    assert found.calinski_harabasz == pytest.approx(expected, rel=EXACT)
    assert found.undefined == {}
    assert found.silhouette_points == found.point_count == 500


def test_noise_counts_for_nothing_in_a_score() -> None:
    values, labels = clouds(400)
    labels[::5] = -1
    found, kept = measure(values, labels), labels != -1
    expected = silhouette_score(values[kept], labels[kept])
    assert found.silhouette == pytest.approx(expected, rel=EXACT)
    expected = calinski_harabasz_score(values[kept], labels[kept])
    assert found.calinski_harabasz == pytest.approx(expected, rel=EXACT)
    assert (found.noise_count, found.noise_ratio) == (80, 0.2)
    assert sum(found.sizes.values()) == 320
    assert found.avg_cluster_size == 80.0


def test_the_silhouette_of_many_points_is_that_of_a_sample() -> None:
    values, labels = clouds(2000)
    found = measure(values, labels, most_points=700)
    expected = silhouette_score(values, labels, sample_size=700, random_state=42)
    assert found.silhouette == pytest.approx(expected, rel=EXACT)
    assert found.silhouette_points == 700
    expected = davies_bouldin_score(values, labels)
    assert found.davies_bouldin == pytest.approx(expected, rel=EXACT)


def test_sizes_and_entropy() -> None:
    labels = np.array([7, 7, 2, 2, -1, 7, 7], dtype=np.int32)
    found = measure(np.arange(14, dtype=np.float32).reshape(7, 2), labels)
    assert found.sizes == {2: 2, 7: 4}
    assert found.cluster_count == 2
    assert found.avg_cluster_size == 3.0
    entropy = -(1 / 3 * np.log(1 / 3) + 2 / 3 * np.log(2 / 3))
    assert found.cluster_size_entropy == pytest.approx(entropy)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0, 0, 0], "a score compares at least two clusters"),
        ([-1, -1, -1], "a score compares at least two clusters"),
        ([0, 1, 2], "each point is a cluster of its own"),
        ([0, 1, -1], "each point is a cluster of its own"),
    ],
)
def test_a_score_that_is_undefined_says_why(labels: list[int], reason: str) -> None:
    found = measure(np.eye(3, dtype=np.float32), np.array(labels, dtype=np.int32))
    assert (found.silhouette, found.davies_bouldin, found.calinski_harabasz) == (None, None, None)
    assert set(found.undefined) == {"silhouette", "davies_bouldin", "calinski_harabasz"}
    assert set(found.undefined.values()) == {reason}


def test_all_noise_has_no_sizes() -> None:
    found = measure(np.eye(2, dtype=np.float32), np.array([-1, -1], dtype=np.int32))
    assert (found.cluster_count, found.noise_ratio) == (0, 1.0)
    assert (found.avg_cluster_size, found.cluster_size_entropy) == (None, None)


def test_equal_points_score_as_in_scikit_learn() -> None:
    values, labels = np.ones((4, 2), dtype=np.float32), np.array([0, 0, 1, 1], dtype=np.int32)
    found = measure(values, labels)
    assert found.davies_bouldin == davies_bouldin_score(values, labels)
    assert found.calinski_harabasz == calinski_harabasz_score(values, labels)
