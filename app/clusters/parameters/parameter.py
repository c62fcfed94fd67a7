"""What the parameters of all methods have in common: strict types, bounds, and words for them."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types
from pydantic import BaseModel, ConfigDict, Field

# scikit-learn's seeds are unsigned 32-bit numbers.
MAX_SEED: Final = 2**32 - 1

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Iterations = Annotated[int, Field(ge=1, le=10_000)]
Starts = Annotated[int, Field(ge=1, le=100)]
Members = Annotated[int, Field(ge=1, le=100_000)]
LeafSize = Annotated[int, Field(ge=1, le=10_000)]
AboveZero = Annotated[float, Field(gt=0)]
FromZero = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Power = Annotated[float, Field(ge=1)]

ONE_JOB: Final = "stays 1: a fit keeps to the threads of its worker, so that it can be repeated"
QUIET: Final = "stays at its default: what a fit would print, nobody sees"

Conflict = tuple[str, str]  # a parameter's name, and the sentence about it


class MethodParameters(BaseModel):
    """Values that scikit-learn's estimator takes, within bounds, under the names it gives them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def conflicts(self) -> Iterator[Conflict]:
        """What two parameters that are right each by itself have against each other."""
        yield from ()

    def differs(self, name: str) -> bool:
        """Whether the parameter was given a value other than its default."""
        default: object = type(self).model_fields[name].default
        return bool(getattr(self, name) != default)


def right_value(model: type[MethodParameters], name: str) -> str:
    """What the parameter takes, to follow its name: "is a whole number from 2 to 10000"."""
    description = model.model_fields[name].description
    if description is not None:
        return description
    return "is " + _in_words(get_type_hints(model, include_extras=True)[name])


def _in_words(kind: object) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = [bound for field in arguments[1:] for bound in field.metadata]
        return _numbers(arguments[0], bounds)
    if origin in (Union, UnionType):
        return " or ".join(_in_words(argument) for argument in arguments)
    if origin is Literal:
        return _one_of([f"'{value}'" for value in arguments])
    return {bool: "true or false", float: "a number", NoneType: "null"}[kind]


def _numbers(kind: object, bounds: list[object]) -> str:
    words = "a whole number" if kind is int else "a number"
    for bound in bounds:
        match bound:
            case annotated_types.Gt():
                words += f" above {bound.gt}"
            case annotated_types.Ge():
                words += f" from {bound.ge}"
            case annotated_types.Le():
                words += f" to {bound.le}"
    return words


def _one_of(values: list[str]) -> str:
    return values[0] if len(values) == 1 else "one of " + ", ".join(values)
