"""Numbers of an object's fields, as they are, in one vector."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from app.resources.extractor import (
    DEFAULT_LIMITS,
    Extraction,
    Failure,
    FailureType,
    Feature,
    Limits,
)
from app.resources.parameter import parameter_error, refuse_unknown

MOST_FIELDS: Final = 1024

_LARGEST: Final = float(np.finfo(np.float32).max)


class TabularExtractor:
    """The values of the listed fields, in the order listed; true is 1 and false is 0."""

    def __init__(self, parameters: Mapping[str, object], limits: Limits = DEFAULT_LIMITS) -> None:
        """`{"fields": [name, …]}`: 1 to 1,024 names, each once."""
        refuse_unknown(parameters, ("fields",))
        self._fields = _fields(parameters.get("fields"))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields themselves."""
        return self._fields

    @property
    def feature(self) -> Feature:
        """Float32 values, not scaled: fields of unlike units weigh unlike in a distance."""
        return Feature(
            name="tabular",
            dimension=len(self._fields),
            description="the numbers of the fields " + ", ".join(self._fields),
            source="the object's own values",
        )

    def extract(self, items: Sequence[Mapping[str, object]]) -> list[Extraction]:
        """One vector of shape (len(fields),) an object; one bad field fails the object."""
        return [self._row(item) for item in items]

    def _row(self, item: Mapping[str, object]) -> Extraction:
        row = np.empty(len(self._fields), np.float32)
        for place, name in enumerate(self._fields):
            match item.get(name):
                case None:
                    return Failure(FailureType.MISSING_INPUT, f"the object has no '{name}'")
                # Not true of NaN either, whose every comparison is false.
                case (int() | float()) as number if abs(number) <= _LARGEST:
                    row[place] = number
                case int() | float():
                    reason = f"'{name}' is not a finite number that float32 can hold"
                    return Failure(FailureType.UNREADABLE, reason)
                case other:
                    reason = f"'{name}' must be a number, not a {type(other).__name__}"
                    return Failure(FailureType.WRONG_TYPE, reason)
        return row


def _fields(value: object) -> tuple[str, ...]:
    match value:
        case [*names] if 1 <= len(names) <= MOST_FIELDS:
            fields = tuple(name for name in names if isinstance(name, str) and name)
        case _:
            raise parameter_error("fields", f"fields is a list of 1 to {MOST_FIELDS} names")
    if len(fields) != len(names) or len(set(fields)) != len(fields):
        raise parameter_error("fields", "fields names each property once, as a string")
    return fields
