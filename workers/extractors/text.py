"""Texts as hashed character n-grams: no vocabulary, so that every worker agrees and none is fitted.

The hashing trick of Weinberger et al. (2009, https://arxiv.org/abs/0902.2206), as scikit-learn's
HashingVectorizer does it: signed MurmurHash3 of each n-gram, counted, L2-normalised.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from app.resources.extractor import (
    DEFAULT_LIMITS,
    Extraction,
    Failure,
    FailureType,
    Feature,
    Limits,
    Vector,
)
from app.resources.parameter import parameter_error, refuse_unknown
from workers.extractors.item import merge, take_text

DIMENSION: Final = 256
LONGEST_NGRAM: Final = 8  # characters

# A good choice over the languages of Europe, which needs no stop words or word endings of any
# (McNamee & Mayfield 2004, https://doi.org/10.1023/B:INRT.0000009441.78971.be).
DEFAULT_NGRAM_RANGE: Final = (4, 4)


class TextExtractor:
    """The runs of four characters in a text's words, hashed into 256 dimensions, of length 1."""

    inputs = ("text",)

    def __init__(self, parameters: Mapping[str, object], limits: Limits = DEFAULT_LIMITS) -> None:
        """`{"ngram_range"?: [least, most]}`: characters, 1 ≤ least ≤ most ≤ 8, default [4, 4]."""
        refuse_unknown(parameters, ("ngram_range",))
        self._ngram_range = _ngram_range(parameters.get("ngram_range", DEFAULT_NGRAM_RANGE))
        self._vectorizer = HashingVectorizer(
            n_features=DIMENSION,
            analyzer="char_wb",
            ngram_range=self._ngram_range,
            alternate_sign=True,
            norm="l2",
            dtype=np.float32,
        )

    @property
    def feature(self) -> Feature:
        """Float32 of length 1: the dot product of two is their cosine."""
        least, most = self._ngram_range
        return Feature(
            name="text",
            dimension=DIMENSION,
            description=f"hashed runs of {least} to {most} characters in words, L2-normalised",
            source="scikit-learn HashingVectorizer; Weinberger et al. 2009",
        )

    def extract(self, items: Sequence[Mapping[str, object]]) -> list[Extraction]:
        """One vector of shape (256,) a text; a blank text has none."""
        parts = [take_text(item, "text") for item in items]
        return merge(parts, self._vectors([part for part in parts if isinstance(part, str)]))

    def _vectors(self, texts: Sequence[str]) -> Iterator[Vector | Failure]:
        if not texts:
            return
        matrix = self._vectorizer.transform(texts).toarray()
        for vector in matrix:
            # N-grams of opposite signs in one place may, rarely, cancel each other out too.
            yield (
                vector
                if vector.any()
                else Failure(FailureType.NO_FEATURES, "the text has no words")
            )


def _ngram_range(value: object) -> tuple[int, int]:
    match value:
        # Not bool, which is an int to Python.
        case [int(least), int(most)] if {type(least), type(most)} == {int}:
            if 1 <= least <= most <= LONGEST_NGRAM:
                return least, most
    message = f"ngram_range is [least, most], 1 ≤ least ≤ most ≤ {LONGEST_NGRAM}"
    raise parameter_error("ngram_range", message)
