"""Extractors are found through entry points, each imported only when asked for."""

import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidError, PermanentError
from app.resources.extractor import Extractor, ExtractorRegistry, Limits, input_sources
from workers.extractors.image import ImageExtractor
from workers.extractors.tabular import TabularExtractor
from workers.extractors.text import TextExtractor

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "extractors.md"

Install = Callable[[str, Mapping[str, str], str], None]

# The example that the documentation prints.
PLUGIN = DOCUMENTATION.read_text().split("```python")[1].split("```")[0]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with extractors on the path, as pip would: (name, entries, module)."""

    def put(name: str, entries: Mapping[str, str], module: str) -> None:
        site = tmp_path / name
        metadata = site / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {value}" for key, value in entries.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[waybill.extractors]", *lines]))
        (site / f"{name}.py").write_text(module)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, name, raising=False)

    return put


@pytest.fixture
def registry(install: Install) -> ExtractorRegistry:
    """The extractors that pyproject.toml declares."""
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]
    install("declared", declared["waybill.extractors"], "")
    return ExtractorRegistry()


def test_the_declared_extractors_are_found(registry: ExtractorRegistry) -> None:
    assert {"embedding", "image", "tabular", "text"} <= set(registry.names)
    assert registry.load("text") is TextExtractor
    assert registry.load("image") is ImageExtractor
    assert registry.load("tabular") is TabularExtractor


@pytest.mark.parametrize("parameters", [{}, {"fields": ["a", "b"]}])
def test_the_declared_extractors_keep_the_protocol(parameters: dict[str, object]) -> None:
    extractors: list[Extractor] = (
        [TabularExtractor(parameters)] if parameters else [TextExtractor({}), ImageExtractor({})]
    )
    for extractor in extractors:
        assert extractor.inputs
        assert extractor.feature.dtype == "float32"
        assert extractor.extract([]) == []


def test_an_unknown_name_is_answered_with_the_known_ones(registry: ExtractorRegistry) -> None:
    with pytest.raises(PermanentError, match=r"no extractor is named 'txet'.*image.*tabular, text"):
        registry.load("txet")
    with pytest.raises(InvalidError, match="no extractor is named 'txet'") as info:
        registry.check("txet", {}, {})
    location = ("feature_extractor", "feature_extractor_name")
    assert info.value.problems[0].location == location


def test_a_package_adds_its_own(install: Install) -> None:
    install("plugin_good", {"length": "plugin_good:LengthExtractor"}, PLUGIN)
    extractor = ExtractorRegistry().build("length", {})
    (vector,) = extractor.extract([{"text": "four"}])
    assert isinstance(vector, np.ndarray)
    assert vector.tolist() == [4]
    assert extractor.feature.name == "length"


def test_a_broken_package_fails_by_name_and_alone(
    install: Install, registry: ExtractorRegistry
) -> None:
    install("plugin_lacking", {"lacking": "plugin_lacking:X"}, "import not_installed_anywhere")
    install("plugin_broken", {"broken": "plugin_broken:X"}, "raise RuntimeError('/etc/secret')")
    install("plugin_strange", {"strange": "plugin_strange:X"}, "X = 3")
    fresh = ExtractorRegistry()
    with pytest.raises(
        PermanentError, match=r"'plugin_lacking'.*not_installed_anywhere is missing"
    ):
        fresh.load("lacking")
    with pytest.raises(PermanentError, match="'plugin_broken' cannot be imported") as info:
        fresh.load("broken")
    assert "secret" not in str(info.value)
    with pytest.raises(PermanentError, match="'plugin_strange' is no extractor"):
        fresh.load("strange")
    assert fresh.load("text") is TextExtractor


def test_two_packages_of_one_name_are_told_apart(install: Install) -> None:
    install("plugin_one", {"twin": "plugin_one:LengthExtractor"}, PLUGIN)
    install("plugin_two", {"twin": "plugin_two:LengthExtractor"}, PLUGIN)
    with pytest.raises(PermanentError, match="several packages bring an extractor 'twin'"):
        ExtractorRegistry().load("twin")


@pytest.mark.parametrize(
    ("name", "parameters", "mappings", "place"),
    [
        ("text", {"ngrams": 3}, {}, ("parameters", "ngrams")),
        ("image", {"max_pixels": 10**12}, {}, ("parameters", "max_pixels")),
        ("tabular", {}, {}, ("parameters", "fields")),
        ("text", {}, {"txt": "body"}, ("input_mappings", "txt")),
        ("text", {}, {"text": 3}, ("input_mappings", "text")),
        ("tabular", {"fields": ["a"]}, {"b": "c"}, ("input_mappings", "b")),
    ],
)
def test_a_collection_s_extractor_is_checked_as_a_request(
    registry: ExtractorRegistry,
    name: str,
    parameters: dict[str, object],
    mappings: dict[str, object],
    place: tuple[str, str],
) -> None:
    with pytest.raises(InvalidError) as info:
        registry.check(name, parameters, mappings)
    assert info.value.problems[0].location == ("feature_extractor", *place)


def test_inputs_read_the_mapped_property_or_that_of_their_name() -> None:
    assert input_sources(("a", "b"), {"a": "x"}) == {"a": "x", "b": "b"}


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="the extra is installed")
def test_without_its_extra_embedding_says_what_to_install(registry: ExtractorRegistry) -> None:
    with pytest.raises(PermanentError, match=r"install waybill\[embeddings\]"):
        registry.load("embedding")
    with pytest.raises(InvalidError, match=r"install waybill\[embeddings\]"):
        registry.check("embedding", {"model": "/models/m"}, {}, Limits())
