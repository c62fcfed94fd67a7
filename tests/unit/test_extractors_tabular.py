"""The tabular extractor: the fields' numbers as they are, or the name of the field at fault."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidError
from app.resources.extractor import Failure, FailureType
from workers.extractors.tabular import TabularExtractor

FIELDS = ["b", "a"]
LARGEST = float(np.finfo(np.float32).max)
NUMBERS = st.booleans() | st.integers() | st.floats()


def test_the_fields_are_inputs_and_order_the_vector() -> None:
    extractor = TabularExtractor({"fields": FIELDS})
    assert extractor.inputs == ("b", "a")
    assert extractor.feature.dimension == 2
    (made,) = extractor.extract([{"a": 1.5, "b": True, "c": "ignored"}])
    assert not isinstance(made, Failure)
    assert made.dtype == np.float32
    assert made.tolist() == [1.0, 1.5]


@pytest.mark.parametrize(
    ("value", "error_type"),
    [
        (None, FailureType.MISSING_INPUT),
        ("1", FailureType.WRONG_TYPE),
        ([1], FailureType.WRONG_TYPE),
        (math.nan, FailureType.UNREADABLE),
        (-math.inf, FailureType.UNREADABLE),
        (3.5e38, FailureType.UNREADABLE),
        (10**400, FailureType.UNREADABLE),
    ],
)
def test_a_bad_field_is_named_and_fails_its_object_alone(
    value: object, error_type: FailureType
) -> None:
    extractor = TabularExtractor({"fields": FIELDS})
    first, failed, last = extractor.extract(
        [{"a": 1, "b": 2}, {"a": value, "b": 2}, {"a": 3, "b": 4}]
    )
    assert isinstance(failed, Failure)
    assert failed.error_type == error_type
    assert "'a'" in failed.reason
    assert [np.asarray(one).tolist() for one in (first, last)] == [[2, 1], [4, 3]]


@pytest.mark.parametrize(
    "fields", [None, [], "ab", ["a", "a"], ["a", 1], [""], [f"f{i}" for i in range(1025)]]
)
def test_wrong_fields_are_refused(fields: object) -> None:
    with pytest.raises(InvalidError, match="fields"):
        TabularExtractor({"fields": fields})


def test_as_many_fields_as_the_bound_are_taken() -> None:
    assert TabularExtractor({"fields": [f"f{i}" for i in range(1024)]}).feature.dimension == 1024


@given(st.lists(st.dictionaries(st.sampled_from("ab"), NUMBERS)))
def test_vectors_are_finite_and_do_not_depend_on_the_batch(
    items: list[dict[str, object]],
) -> None:
    extractor = TabularExtractor({"fields": FIELDS})
    for item, made in zip(items, extractor.extract(items), strict=True):
        (alone,) = extractor.extract([item])
        if isinstance(made, Failure):
            assert made == alone
        else:
            assert np.isfinite(made).all()
            assert made.tobytes() == np.asarray(alone).tobytes()


@given(st.integers() | st.floats(allow_nan=False))
def test_what_float32_holds_is_taken_and_nothing_else(number: float) -> None:
    (made,) = TabularExtractor({"fields": ["a"]}).extract([{"a": number}])
    assert isinstance(made, Failure) == (abs(number) > LARGEST)
