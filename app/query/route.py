"""The way a list takes through its indexes, where the planner is not to choose."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from app.database import Document

Index = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The index that a query runs on, and what all of its rows fulfil, said so that the index
    gives them in order.

    Where it can give them so only in parts, `parts` says of each what its rows fulfil: no two
    share a row, and they come in ascending order.
    """

    hint: Index | None = None
    also: Document = field(default_factory=dict)
    parts: tuple[Document, ...] = ()


_BY_ORDER: Final = frozenset({"$gt", "$gte", "$lt", "$lte"})

NO_ROUTE: Final = Route()

# From what is asked, compiled, and the public name of the field that the list runs by.
Router = Callable[[Document, str], Route]


def equal_values(condition: Document, path: str) -> frozenset[object] | None:
    """The values that the condition leaves for `path` by equality; None: it says nothing.

    Only what must hold of every row counts, not what stands in an OR or a NOT.
    """
    left: frozenset[object] | None = None
    for comparison in _comparisons(condition, path):
        values = _equal(comparison)
        if values is not None:
            left = values if left is None else left & values
    return left


def excludes_null(condition: Document, path: str) -> bool:
    """Whether the condition compares `path` by order, which no null passes."""
    return any(
        isinstance(comparison, dict) and not _BY_ORDER.isdisjoint(comparison)
        for comparison in _comparisons(condition, path)
    )


def _comparisons(condition: Document, path: str) -> Iterator[object]:
    for key, value in condition.items():
        if key == "$and":
            for part in value:
                yield from _comparisons(part, path)
        elif key == path:
            yield value


def _equal(comparison: object) -> frozenset[object] | None:
    match comparison:
        case {"$eq": value}:
            return frozenset({value})
        case {"$in": values}:
            return frozenset(values)
        case _:
            return None
