"""Texts as vectors of a sentence-transformers model in a local folder; nothing is downloaded.

Needs the extra waybill[embeddings]. Without it, importing this module raises `PermanentError`,
which whoever asked for the extractor by name gets to see; the others work on.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from app.errors import InvalidError, PermanentError
from app.fetch.rooted_file import is_beneath
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

try:
    from sentence_transformers import SentenceTransformer
except ImportError as exc:
    message = "extractor 'embedding' needs sentence-transformers: install waybill[embeddings]"
    raise PermanentError(message) from exc


class EmbeddingExtractor:
    """A text's embedding, of length 1, of the model's dimension."""

    inputs = ("text",)

    def __init__(self, parameters: Mapping[str, object], limits: Limits = DEFAULT_LIMITS) -> None:
        """`{"model": "/folder"}`: one that SentenceTransformer.save wrote, in `limits.file_roots`.

        Loads no weights: that happens when the first feature or vector is asked for.
        """
        refuse_unknown(parameters, ("model",))
        self._folder = _model_folder(parameters.get("model"), limits.file_roots)

    @property
    def feature(self) -> Feature:
        """Float32 of length 1. Raises `PermanentError` when the model cannot be loaded."""
        return Feature(
            name="embedding",
            dimension=self._dimension,
            description=f"embedding by the model {self._folder.name}, L2-normalised",
            source="sentence-transformers, https://sbert.net",
        )

    def extract(self, items: Sequence[Mapping[str, object]]) -> list[Extraction]:
        """One vector of the model's dimension a text; a blank text has none.

        The model pads texts that it works on together: the last bits of a vector may depend on
        the other texts of the call.
        """
        parts = [_words(item) for item in items]
        return merge(parts, self._vectors([part for part in parts if isinstance(part, str)]))

    def _vectors(self, texts: list[str]) -> Iterator[Vector | Failure]:
        if not texts:
            return
        encoded = self._model.encode(
            texts, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        for vector in np.asarray(encoded, dtype=np.float32):
            finite = bool(np.isfinite(vector).all())
            reason = "the model made a vector that is not finite"
            yield vector if finite else Failure(FailureType.NO_FEATURES, reason)

    @property
    def _dimension(self) -> int:
        dimension = self._model.get_embedding_dimension()
        if not isinstance(dimension, int):
            raise PermanentError(f"the model {self._folder.name} does not say its dimension")
        return dimension

    @cached_property
    def _model(self) -> SentenceTransformer:
        try:
            return SentenceTransformer(
                str(self._folder), local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, ImportError, LookupError, RuntimeError, TypeError) as exc:
            reason = f"the model {self._folder.name} cannot be loaded ({type(exc).__name__})"
            raise PermanentError(reason) from exc


def _words(item: Mapping[str, object]) -> str | Failure:
    text = take_text(item, "text")
    if isinstance(text, str) and not text.strip():
        return Failure(FailureType.NO_FEATURES, "the text is blank")
    return text


def _model_folder(value: object, roots: Sequence[Path]) -> Path:
    """The real folder. A model is code in effect, so that only the operator's folders will do."""
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise parameter_error("model", "model is the absolute path of a model's folder")
    path = Path(value)
    # A path with '..' or outside of the roots is not even looked at.
    if ".." in path.parts or not is_beneath(path, roots):
        raise _refused()
    real = Path(os.path.realpath(path))
    if not is_beneath(real, roots) or not (real / "modules.json").is_file():
        raise _refused()
    return real


def _refused() -> InvalidError:
    words = "model names no folder with a modules.json in the folders of WAYBILL_FILE_ROOTS"
    return parameter_error("model", words)
