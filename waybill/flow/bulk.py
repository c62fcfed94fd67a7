"""Calls on many things: cut into parts that the API takes, answered as if it were one."""

from collections.abc import Sequence
from typing import Final, TypeVar, cast
from uuid import uuid4

from waybill.flow.step import Flow, fetch
from waybill.flow.verb import create
from waybill.types import JsonObject, Partial

T = TypeVar("T")

MAX_THINGS: Final = 1_000  # of one call
PLACES: Final = ("index", "object_index")


def in_bulk(
    _: type[T], path: str, name: str, things: Sequence[object], *, key: str | None
) -> Flow[Partial[T]]:
    """What became of each thing, by its place in the whole sequence.

    Where a part fails as a whole its error is raised, and the parts before it stand; the same
    `key` takes it up there.
    """
    key = key or uuid4().hex
    whole: JsonObject = {"succeeded": [], "failed": []}
    for number, start in enumerate(range(0, len(things), MAX_THINGS)):
        body = {name: list(things[start : start + MAX_THINGS])}
        call = create(path, body, key=f"{key}-{number}" if number else key)
        answer = yield from fetch(call)
        for part in ("succeeded", "failed"):
            whole[part] += [_shifted(one, start) for one in answer[part]]
    counts = {
        "total_requested": len(things),
        "succeeded_count": len(whole["succeeded"]),
        "failed_count": len(whole["failed"]),
    }
    return cast(Partial[T], whole | counts)


def _shifted(one: JsonObject, start: int) -> JsonObject:
    """One entry of a part, with its places in the whole."""
    moved = one | {place: one[place] + start for place in PLACES if place in one}
    for problem in moved.get("details", {}).get("validation_errors", ()):
        problem["location"] = _moved(problem["location"], start)
    return moved


def _moved(location: Sequence[object], start: int) -> list[object]:
    """The location with its first number, the place of the thing, in the whole."""
    moved = list(location)
    for at, part in enumerate(moved):
        if isinstance(part, int):
            moved[at] = part + start
            break
    return moved
