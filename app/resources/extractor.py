"""What an extractor is, and where the installed ones are found: the entry-point group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from app.errors import InvalidError, PermanentError, Problem, WaybillError
from app.resources.property import shown

GROUP: Final = "waybill.extractors"

PLACE: Final = ("feature_extractor",)  # where a collection's body names its extractor

Vector = npt.NDArray[np.float32]


class FailureType(StrEnum):
    """Why one object has no vector."""

    MISSING_INPUT = "missing_input"
    WRONG_TYPE = "wrong_type"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    NO_FEATURES = "no_features"


@dataclass(frozen=True, slots=True)
class Failure:
    """One object that has no vector. The reason is a sentence for the object's owner."""

    error_type: FailureType
    reason: str


Extraction = Vector | Failure


@dataclass(frozen=True, slots=True)
class Feature:
    """What an extractor makes of an object. Documents keep the vector under `name`."""

    name: str
    dimension: int
    description: str
    source: str
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator lets extractors do, whatever a collection's parameters say."""

    max_image_pixels: int = 50_000_000
    file_roots: tuple[Path, ...] = ()


DEFAULT_LIMITS: Final = Limits()


class Extractor(Protocol):
    """Makes one float32 vector of fixed dimension of each object. Stateless between calls."""

    def __init__(self, parameters: Mapping[str, object], limits: Limits = DEFAULT_LIMITS) -> None:
        """Checks the parameters and loads nothing heavy: the API makes one to check a collection.

        Raises `InvalidError` at `("feature_extractor", "parameters", name)`.
        """

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names that `extract` looks for in an item, and that input_mappings may map."""

    @property
    def feature(self) -> Feature:
        """What the vectors are; the same for as long as the parameters are."""

    def extract(self, items: Sequence[Mapping[str, object]]) -> list[Extraction]:
        """For each item, in order, its vector of shape (dimension,) or why there is none.

        An item has values by input: a str of a text, bytes of an image, a number. A bad item never
        raises and never changes the vectors of the others.
        """


class ExtractorRegistry:
    """The installed extractors by name. Looks once, and imports one only when it is asked for."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all installed extractors, sorted, whether or not they can be imported."""
        return tuple(sorted(self._found))

    def load(self, name: str) -> type[Extractor]:
        """The class of that name.

        Raises `PermanentError`: no package has it, two packages quarrel over it, or its package
        cannot be imported.
        """
        match self._found.get(name, ()):
            case ():
                known = ", ".join(self.names) or "none"
                raise PermanentError(f"no extractor is named '{shown(name)}': known are {known}")
            case (found,):
                return _import(found)
            case several:
                values = ", ".join(entry.value for entry in several)
                raise PermanentError(f"several packages bring an extractor '{name}': {values}")

    def build(
        self, name: str, parameters: Mapping[str, object], limits: Limits = DEFAULT_LIMITS
    ) -> Extractor:
        """An extractor ready to work. Raises `PermanentError` as `load`, or `InvalidError`."""
        return self.load(name)(parameters, limits)

    def check(
        self,
        name: str,
        parameters: Mapping[str, object],
        input_mappings: Mapping[str, object],
        limits: Limits = DEFAULT_LIMITS,
    ) -> Extractor:
        """The extractor of a collection's feature_extractor, checked as a request.

        Raises `InvalidError` for anything wrong, at its place under `("feature_extractor",)`.
        """
        try:
            extractor = self.build(name, parameters, limits)
        except PermanentError as exc:
            raise InvalidError.at(*PLACE, "feature_extractor_name", message=str(exc)) from exc
        input_sources(extractor.inputs, input_mappings)
        return extractor

    @cached_property
    def _found(self) -> dict[str, tuple[EntryPoint, ...]]:
        found: dict[str, dict[str, EntryPoint]] = {}
        # By value: one package seen twice on sys.path is still one.
        for entry in entry_points(group=GROUP):
            found.setdefault(entry.name, {})[entry.value] = entry
        return {name: tuple(by_value.values()) for name, by_value in found.items()}


EXTRACTORS: Final = ExtractorRegistry()


def input_sources(inputs: Sequence[str], input_mappings: Mapping[str, object]) -> dict[str, str]:
    """The property that each input is read from: the mapped one, else the one of its own name.

    Raises `InvalidError` for a mapping of an unknown input, or to something that isn't a name.
    """
    problems = [
        Problem(
            (*PLACE, "input_mappings", shown(name)),
            f"'{shown(name)}' is no input of this extractor: it takes {', '.join(inputs[:20])}",
        )
        for name in input_mappings
        if name not in inputs
    ]
    problems.extend(
        Problem(
            (*PLACE, "input_mappings", shown(name)),
            f"input '{shown(name)}' maps to a property name",
        )
        for name, source in input_mappings.items()
        if not isinstance(source, str) or not source
    )
    if problems:
        raise InvalidError(problems)
    return {name: str(input_mappings.get(name, name)) for name in inputs}


def _import(entry: EntryPoint) -> type[Extractor]:
    package = entry.dist.name if entry.dist else entry.module
    try:
        loaded = entry.load()
    except WaybillError:
        raise
    # The import runs a package's own code, which may raise anything.
    except Exception as exc:
        missing = f" ({exc.name} is missing)" if isinstance(exc, ModuleNotFoundError) else ""
        message = f"extractor '{entry.name}' of package '{package}' cannot be imported{missing}"
        raise PermanentError(message) from exc
    if not isinstance(loaded, type) or not callable(getattr(loaded, "extract", None)):
        raise PermanentError(f"extractor '{entry.name}' of package '{package}' is no extractor")
    return cast(type[Extractor], loaded)
