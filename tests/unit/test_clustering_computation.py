"""A clustering from end to end, in memory and as a stream, within its bound of memory."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from app.clusters.method import ClusteringMethod, Parameters, parse_parameters
from app.clusters.parameters.partition import KMeansParameters
from app.errors import PermanentError, TransientError
from workers.clustering.computation import Plan, compute, is_streamed
from workers.clustering.layout import Layout, Part
from workers.clustering.matrix import Row
from workers.clustering.memory import (
    MIB,
    estimate_bytes,
    estimate_stream_bytes,
    require_neighbours_room,
    require_room,
)
from workers.clustering.stream import Stream

COUNT, DIMENSION = 42_000, 16
LAYOUT = Layout((Part("text", DIMENSION),))
TRUTH = np.arange(COUNT) // 3000 % 6


def read() -> Iterator[Row]:
    """Six clouds, one after the other, as documents of one import would be."""
    rng = np.random.default_rng(5)
    middles = rng.normal(scale=8, size=(6, DIMENSION))
    values = (middles[TRUTH] + rng.normal(size=(COUNT, DIMENSION))).astype(np.float32)
    return ((f"doc_{place:06}", (value,)) for place, value in enumerate(values))


def parameters(method: str = "kmeans", **raw: object) -> Parameters:
    return parse_parameters(ClusteringMethod(method), raw)


def kmeans(**raw: object) -> KMeansParameters:
    parsed = parameters("kmeans", **{"n_clusters": 6, "n_init": 2, **raw})
    assert isinstance(parsed, KMeansParameters)
    return parsed


def test_in_memory() -> None:
    stages: list[str] = []
    few = 3100
    found = compute(read, Plan(few, LAYOUT, kmeans(n_clusters=2), 1024 * MIB), stages.append)
    assert stages == ["reading", "fitting", "measuring", "projecting"]
    assert not found.streamed
    assert adjusted_rand_score(TRUTH[:few], found.fit.labels) == 1
    assert len(found.document_ids) == found.metrics.point_count == few
    assert found.projection.rows.tolist() == list(range(few))
    assert [len(rows) for rows in found.representatives] == [5] * 2


def test_mini_batches_take_over_where_the_matrix_has_no_room() -> None:
    allowed = kmeans(mini_batch="allowed", max_iter=3)
    limit = estimate_bytes(COUNT, DIMENSION, allowed)
    assert not is_streamed(Plan(COUNT, LAYOUT, allowed, limit))
    assert not is_streamed(Plan(COUNT, LAYOUT, kmeans(), 0))
    needed = estimate_stream_bytes(10**7, 256, allowed)
    assert needed < estimate_bytes(10**7, 256, allowed) / 4

    plan = Plan(COUNT, LAYOUT, allowed, limit - 1)
    assert is_streamed(plan)
    found = compute(read, plan, lambda _: None)
    assert found.streamed
    assert adjusted_rand_score(TRUTH, found.fit.labels) == 1
    assert list(found.document_ids) == [document_id for document_id, _ in read()]
    assert found.metrics.silhouette is not None
    assert found.metrics.silhouette > 0.5
    assert len(found.projection.rows) == len(found.projection.points) == 20_000
    assert found.projection.rows[-1] == COUNT - 1


def test_a_stream_is_fitted_to_the_same_bits_again() -> None:
    def first() -> Iterator[Row]:
        return islice(read(), 9000)

    streams = [Stream(first, LAYOUT, 9000) for _ in range(2)]
    fits = [stream.fit(stream.sample(), kmeans(max_iter=3)).fit for stream in streams]
    assert len({found.labels.tobytes() for found in fits}) == 1
    assert len({found.centroids.tobytes() for found in fits}) == 1


def test_a_stream_stays_with_the_rows_of_its_first_pass() -> None:
    """What is added between two passes is left out, wherever it stands; what is gone is missed."""
    known = [row for place, row in enumerate(islice(read(), 600)) if place % 2]
    every = list(islice(read(), 600))
    passes = iter([known, every])

    def growing() -> list[Row]:
        return next(passes, every)

    stream = Stream(growing, LAYOUT, len(known))
    grown = stream.fit(stream.sample(), kmeans(max_iter=3))
    still = Stream(lambda: known, LAYOUT, len(known))
    expected = still.fit(still.sample(), kmeans(max_iter=3))
    assert list(grown.document_ids) == [document_id for document_id, _ in known]
    assert grown.fit.labels.tobytes() == expected.fit.labels.tobytes()
    assert grown.fit.centroids.tobytes() == expected.fit.centroids.tobytes()

    fewer = iter([every, known])
    stream = Stream(lambda: next(fewer), LAYOUT, len(every))
    with pytest.raises(TransientError, match="documents were removed while they were read"):
        stream.fit(stream.sample(), kmeans(max_iter=3))


def test_more_clusters_than_one_answer_shows_are_refused() -> None:
    count, layout = 10_001, Layout((Part("text", 1),))

    def far_apart() -> Iterator[Row]:
        return ((f"doc_{n:06}", (np.array([n], np.float32),)) for n in range(count))

    each = parameters("dbscan", eps=0.5, min_samples=1)
    with pytest.raises(PermanentError, match="fall into 10,001 clusters, and 10,000 are the most"):
        compute(far_apart, Plan(count, layout, each, 1024 * MIB), lambda _: None)


def test_nothing_is_read_where_there_is_no_room_or_nothing() -> None:
    def unread() -> Iterator[Row]:
        raise AssertionError

    words = (
        r"100,000 vectors need about \d+ MiB, and WAYBILL_CLUSTER_MEMORY_MIB allows 100 MiB: "
        r"a smaller sample_size, mini_batch 'allowed', another method or a larger "
        r"WAYBILL_CLUSTER_MEMORY_MIB would do"
    )
    plan = Plan(100_000, Layout((Part("text", 256),)), kmeans(), 100 * MIB)
    with pytest.raises(PermanentError, match=words):
        compute(unread, plan, lambda _: None)
    with pytest.raises(PermanentError, match="there are no vectors to cluster"):
        compute(unread, Plan(0, LAYOUT, kmeans(), 100 * MIB), lambda _: None)


def test_kmeans_of_100_000_by_256_has_room_in_600_mib_beside_the_libraries() -> None:
    """143 MiB are the process with its libraries."""
    needed = estimate_bytes(100_000, 256, parameters("kmeans"))
    assert needed < (600 - 143) * MIB
    require_room(100_000, 256, parameters("kmeans"), needed)


@pytest.mark.parametrize(
    ("method", "raw", "pair_bytes"),
    [
        ("agglomerative", {}, 8.0),
        ("spectral", {}, 34.2),
        ("hdbscan", {"metric": "cosine"}, 19.3),
        ("optics", {"algorithm": "brute"}, 10.3),
    ],
)
def test_pairs_are_counted_where_a_method_holds_them(
    method: str, raw: dict[str, object], pair_bytes: float
) -> None:
    needed = estimate_bytes(40_000, 16, parameters(method, **raw))
    assert needed > pair_bytes * 40_000**2
    with pytest.raises(PermanentError, match="40,000 vectors need about"):
        require_room(40_000, 16, parameters(method, **raw), 1024 * MIB)


def test_the_neighbours_of_dbscan_are_counted() -> None:
    values = np.random.default_rng(2).normal(size=(5000, 4)).astype(np.float32)
    limit = 300 * MIB
    require_neighbours_room(values, parameters("dbscan", eps=0.1), limit)
    with pytest.raises(PermanentError, match="5,000 vectors need about"):
        require_neighbours_room(values, parameters("dbscan", eps=100.0), limit)
    require_neighbours_room(values, parameters("kmeans"), 0)
