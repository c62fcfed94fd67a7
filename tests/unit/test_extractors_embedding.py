"""The embedding extractor beside a stand-in for sentence-transformers, which is an extra.

The stand-in has the signatures of sentence-transformers 6.2 that the extractor calls, and nothing
of its models: what is shown here is that folders are checked and that texts and vectors keep their
places, not that a real model loads.
"""

import importlib
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from app.errors import InvalidError, PermanentError
from app.resources.extractor import Extractor, Failure, FailureType, Limits

STAND_IN = """
import numpy as np

class SentenceTransformer:
    def __init__(self, model_name_or_path=None, *, local_files_only=False, trust_remote_code=False):
        assert local_files_only and not trust_remote_code
        if "broken" in model_name_or_path:
            raise OSError("no weights in " + model_name_or_path)

    def get_embedding_dimension(self):
        return 3

    def encode(self, inputs, *, show_progress_bar, convert_to_numpy, normalize_embeddings):
        assert convert_to_numpy and normalize_embeddings and not show_progress_bar
        vectors = np.array([[len(text), 0, 0] for text in inputs], np.float64)
        vectors[["nan" in text for text in inputs]] = np.nan
        return vectors
"""


@pytest.fixture
def extractor_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Extractor]:
    """The class, imported afresh with the stand-in on the path."""
    package = tmp_path / "site" / "sentence_transformers"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(package.parent))
    for name in ("sentence_transformers", "workers.extractors.embedding"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("workers.extractors.embedding")
    # Gone again at teardown, so that no other test meets the stand-in.
    for name in ("sentence_transformers", "workers.extractors.embedding"):
        monkeypatch.setitem(sys.modules, name, sys.modules.pop(name))
    return cast(type[Extractor], module.EmbeddingExtractor)


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    """The root tmp/models, with a model `good`, a `broken` one, and a link out to `elsewhere`."""
    for name in ("models/good", "models/broken", "models/empty", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("models/good", "models/broken", "elsewhere"):
        (tmp_path / name / "modules.json").write_text("[]")
    (tmp_path / "models" / "link").symlink_to(tmp_path / "elsewhere")
    return Limits(file_roots=(tmp_path / "models",))


def test_texts_and_vectors_keep_their_places(
    extractor_class: type[Extractor], limits: Limits
) -> None:
    extractor = extractor_class({"model": str(limits.file_roots[0] / "good")}, limits)
    assert extractor.inputs == ("text",)
    assert extractor.feature.dimension == 3
    texts = ["one", " ", "three", None, "nan", "\ud800"]
    made = extractor.extract([{"text": text} for text in texts])
    kinds = [one.error_type if isinstance(one, Failure) else one.tolist() for one in made]
    assert kinds == [
        [3, 0, 0],
        FailureType.NO_FEATURES,
        [5, 0, 0],
        FailureType.MISSING_INPUT,
        FailureType.NO_FEATURES,
        FailureType.UNREADABLE,
    ]
    assert np.asarray(made[0]).dtype == np.float32


@pytest.mark.parametrize(
    "model",
    ["nothing", "empty", "link", "../elsewhere", "good/../../elsewhere", "/", "/etc", None, "a\0"],
)
def test_only_models_in_the_operator_s_folders_will_do(
    extractor_class: type[Extractor], limits: Limits, model: str | None
) -> None:
    # An absolute path replaces the root that it is joined to.
    path = None if model is None else f"{limits.file_roots[0] / model}"
    with pytest.raises(InvalidError, match="model"):
        extractor_class({"model": path}, limits)


def test_without_folders_of_the_operator_there_is_no_model(
    extractor_class: type[Extractor], limits: Limits
) -> None:
    with pytest.raises(InvalidError, match="WAYBILL_FILE_ROOTS"):
        extractor_class({"model": str(limits.file_roots[0] / "good")})


def test_a_model_that_cannot_be_loaded_fails_for_good(
    extractor_class: type[Extractor], limits: Limits
) -> None:
    extractor = extractor_class({"model": str(limits.file_roots[0] / "broken")}, limits)
    with pytest.raises(PermanentError, match=r"model broken cannot be loaded \(OSError\)"):
        extractor.extract([{"text": "a"}])
