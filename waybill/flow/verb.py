"""The kinds of calls there are, and which of them may be repeated."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, TypeVar, cast
from uuid import uuid4

from waybill.flow.path import checked_path
from waybill.flow.step import Call, Flow, Item, ItemFlow, fetch
from waybill.types import JsonObject, Page

T = TypeVar("T")
Params = Mapping[str, str | int | float | bool]

KEY: Final = "Idempotency-Key"
READS: Final = ("/list", "/count", "/aggregate")
MAX_PAGE: Final = 1_000


class Unset(Enum):
    """What a change does not speak of stays as it is; None is a value."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


def get(path: str, params: Params | None = None) -> Call:
    return Call("GET", path, params=params or {}, repeatable=True)


def ask(path: str, body: object = None, params: Params | None = None) -> Call:
    """A read by POST."""
    return Call("POST", path, body, params=params or {}, repeatable=True)


def create(path: str, body: object = None, *, key: str | None = None) -> Call:
    """A POST that makes something, once however often it is sent."""
    return Call("POST", path, body, headers={KEY: key or uuid4().hex}, repeatable=True)


def act(path: str, body: object = None, *, repeatable: bool = False) -> Call:
    """A POST that steps in; to be repeated only where a second one changes nothing."""
    return Call("POST", path, body, repeatable=repeatable)


def change(path: str, **fields: object) -> Call:
    """Sets the fields that are not `UNSET`. Another change may come between two tries of one, so
    it is not repeated."""
    return Call("PATCH", path, {k: v for k, v in fields.items() if v is not UNSET})


def put(path: str, body: object) -> Call:
    """Sets all of one thing: a second time changes nothing."""
    return Call("PUT", path, body, repeatable=True)


def delete(path: str) -> Call:
    return Call("DELETE", path, repeatable=True)


def any_call(
    method: str,
    path: str,
    body: object = None,
    *,
    params: Params | None = None,
    key: str | None = None,
) -> Call:
    """The call of a path that has no method yet, by the same rules."""
    path, method = checked_path(path), method.upper()
    headers = {KEY: key} if key else {}
    if method == "POST" and not key and not path.partition("?")[0].endswith(READS):
        headers = {KEY: uuid4().hex}
    return Call(
        method, path, body, params=params or {}, headers=headers, repeatable=method != "PATCH"
    )


def said(**fields: object) -> JsonObject:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def fetched(_: type[T], call: Call) -> Flow[T]:
    """The answer, which the API promises to be of this kind."""
    return cast(T, (yield from fetch(call)))


def walk(kind: type[T], path: str, body: JsonObject, *, page_size: int) -> ItemFlow[T]:
    """Every row of a list, page by page, as they are asked for."""
    asked = {**body, "limit": _checked(page_size)}
    return _rows(kind, lambda place: ask(path, {**asked, **place}))


def follow(kind: type[T], path: str, params: Params, *, page_size: int) -> ItemFlow[T]:
    """The same of a list that is read by GET."""
    asked = {**params, "limit": _checked(page_size)}
    return _rows(kind, lambda place: get(path, {**asked, **place}))


def _checked(page_size: int) -> int:
    if not 1 <= page_size <= MAX_PAGE:
        raise ValueError(f"page_size is 1 to {MAX_PAGE}, not {page_size}")
    return page_size


def _rows(_: type[T], page_at: Callable[[Mapping[str, str]], Call]) -> ItemFlow[T]:
    place: Mapping[str, str] = {}
    while True:
        page = cast(Page[T], (yield from fetch(page_at(place))))
        for row in page["results"]:
            yield Item(row)
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            return
        place = {"cursor": cursor}
