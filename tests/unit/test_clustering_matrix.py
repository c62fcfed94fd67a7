"""Rows of documents: laid out, sampled, and refused where a vector is wrong."""

import numpy as np
import pytest

from app.errors import PermanentError
from workers.clustering.layout import Layout, Part
from workers.clustering.matrix import Row, blocks, fill
from workers.clustering.sample import sample

TWO = (Part("text", 2), Part("image", 3))


def rows(count: int) -> list[Row]:
    rng = np.random.default_rng(1)
    return [
        (f"doc_{place:03}", (rng.normal(size=2).astype("f4"), rng.normal(size=3).astype("f4")))
        for place in range(count)
    ]


def test_features_stand_side_by_side() -> None:
    given = rows(4)
    matrix = fill(iter(given), 10, Layout(TWO))
    assert matrix.values.dtype == np.float32
    np.testing.assert_array_equal(matrix.values, [np.concatenate(row[1]) for row in given])
    assert matrix.document_ids == [row[0] for row in given]


def test_no_more_rows_than_there_is_room_for() -> None:
    assert fill(iter(rows(4)), 3, Layout(TWO)).document_ids == ["doc_000", "doc_001", "doc_002"]
    assert fill(iter([]), 0, Layout(TWO)).values.shape == (0, 5)


def test_a_weight_multiplies_squared_distances() -> None:
    given = rows(2)
    layout = Layout((Part("text", 2, weight=3.0), Part("image", 3, weight=0.5)))
    first, second = fill(iter(given), 2, layout).values
    text, image = (given[0][1][part] - given[1][1][part] for part in (0, 1))
    expected = 3.0 * float((text**2).sum()) + 0.5 * float((image**2).sum())
    assert float(((first - second) ** 2).sum()) == pytest.approx(expected, rel=1e-6)


def test_each_feature_is_brought_to_length_one_and_zeros_stay() -> None:
    given = [*rows(3), ("doc_zero", (np.zeros(2, "f4"), np.ones(3, "f4")))]
    values = fill(iter(given), 4, Layout(TWO, normalize=True)).values
    np.testing.assert_allclose(np.linalg.norm(values[:3, :2], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(values[:, 2:], axis=1), 1, rtol=1e-6)
    assert values[3, :2].tolist() == [0, 0]


def test_blocks_are_the_matrix_in_pieces() -> None:
    layout = Layout(TWO, normalize=True)
    pieces = list(blocks(iter(rows(7)), layout, 3))
    assert [len(piece.document_ids) for piece in pieces] == [3, 3, 1]
    whole = fill(iter(rows(7)), 7, layout)
    np.testing.assert_array_equal(np.concatenate([piece.values for piece in pieces]), whole.values)
    assert list(blocks(iter([]), layout)) == []


def test_a_vector_of_another_dimension_is_named() -> None:
    given = [*rows(1), ("doc_odd", (np.zeros(2, "f4"), np.zeros(4, "f4")))]
    with pytest.raises(PermanentError, match="the image vector of document doc_odd has 4 numbers"):
        fill(iter(given), 2, Layout(TWO))


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e16, -1e38])
def test_a_number_that_cannot_be_compared_is_named(bad: float) -> None:
    given = [*rows(1), ("doc_odd", (np.array([0, bad], "f4"), np.zeros(3, "f4")))]
    with pytest.raises(PermanentError, match="document doc_odd have numbers that are not finite"):
        fill(iter(given), 2, Layout(TWO))


def test_a_sample_is_the_same_for_the_same_seed_and_ids() -> None:
    ids = [f"doc_{place:04}" for place in range(1000)]
    chosen = sample(ids, 50, 42)
    assert chosen == sample(reversed(ids), 50, 42)[::-1]
    assert chosen == sorted(chosen)
    assert len(set(chosen)) == 50
    assert chosen != sample(ids, 50, 43)
    assert len(set(chosen) ^ set(sample([*ids, "doc_new"], 50, 42))) in (0, 2)
    assert sample(ids, 5000, 42) == ids


def test_a_sample_leans_to_no_end() -> None:
    ids = [f"doc_{place:05}" for place in range(20_000)]
    early = sum(document_id < "doc_10000" for document_id in sample(ids, 2000, 1))
    # 1,000 are expected with a deviation of 21.
    assert 900 < early < 1100
