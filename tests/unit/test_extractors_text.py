"""The text extractor: vectors that tell topics apart, the same ones however texts are grouped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidError
from app.resources.extractor import Extraction, Failure, FailureType, Vector
from workers.extractors.text import DIMENSION, TextExtractor

SEA = ["the ship sails the sea", "a sea and a ship with sails", "the ship on the stormy sea"]
MONEY = ["the bank raised interest rates", "interest rates of a bank", "bank loans and interest"]


def extract(*texts: object) -> list[Extraction]:
    return TextExtractor({}).extract([{"text": text} for text in texts])


def vector(text: str) -> Vector:
    (made,) = extract(text)
    assert not isinstance(made, Failure)
    return made


def test_a_text_is_a_float32_vector_of_length_one() -> None:
    made = vector("The quick brown fox")
    assert made.dtype == np.float32
    assert made.shape == (DIMENSION,) == (TextExtractor({}).feature.dimension,)
    assert np.linalg.norm(made) == pytest.approx(1, abs=1e-6)


def test_texts_of_one_topic_are_nearer_than_texts_of_two() -> None:
    sea, money = np.stack([vector(t) for t in SEA]), np.stack([vector(t) for t in MONEY])
    assert (sea @ sea.T).min() > (sea @ money.T).max()
    assert (money @ money.T).min() > (sea @ money.T).max()


def test_case_and_the_order_of_words_do_not_count() -> None:
    assert np.array_equal(vector("Ship Sails"), vector("sails  ship"))
    assert not np.array_equal(vector("ship"), vector("hips"))


@pytest.mark.parametrize("text", ["x", "7", "ж", "船", "été", "!"])
def test_one_letter_of_any_script_is_a_word(text: str) -> None:
    vector(text)


@pytest.mark.parametrize(
    ("value", "error_type", "said"),
    [
        ("", FailureType.NO_FEATURES, "no words"),
        (" \n\u3000", FailureType.NO_FEATURES, "no words"),
        (None, FailureType.MISSING_INPUT, "has no 'text'"),
        (3, FailureType.WRONG_TYPE, "must be text, not a int"),
        (b"bytes", FailureType.WRONG_TYPE, "must be text"),
        ("a \ud800", FailureType.UNREADABLE, "lone surrogate"),
    ],
)
def test_a_bad_text_fails_alone(value: object, error_type: FailureType, said: str) -> None:
    first, failed, last = extract("one", value, "two")
    assert isinstance(failed, Failure)
    assert failed.error_type == error_type
    assert said in failed.reason
    assert np.array_equal(np.asarray(first), vector("one"))
    assert np.array_equal(np.asarray(last), vector("two"))


def test_an_item_without_the_input_fails() -> None:
    (failed,) = TextExtractor({}).extract([{}])
    assert isinstance(failed, Failure)


def test_ngram_range_is_a_parameter() -> None:
    letters = TextExtractor({"ngram_range": [1, 1]})
    first, second = letters.extract([{"text": "ship"}, {"text": "hips"}])
    assert np.array_equal(np.asarray(first), np.asarray(second))
    assert "1 to 1 characters" in letters.feature.description


@pytest.mark.parametrize(
    "value", [None, 1, "12", [1], [2, 1], [0, 1], [1, 9], [True, 2], [1.0, 2], [1, 2, 3]]
)
def test_a_wrong_ngram_range_is_refused(value: object) -> None:
    with pytest.raises(InvalidError, match="ngram_range is"):
        TextExtractor({"ngram_range": value})


@settings(deadline=None)
@given(st.lists(st.text(), max_size=8))
def test_the_bits_do_not_depend_on_the_batch(texts: list[str]) -> None:
    together = extract(*texts)
    alone = [extract(text)[0] for text in texts]
    reversed_ = extract(*reversed(texts))[::-1]
    for one, two, three in zip(together, alone, reversed_, strict=True):
        if isinstance(one, Failure):
            assert one == two == three
        else:
            assert one.tobytes() == np.asarray(two).tobytes() == np.asarray(three).tobytes()
