"""Lists over HTTP: what every list takes, and the envelope that every list answers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from app.errors import InvalidError
from app.http.body import Body, Flag, Integer
from app.http.example import example
from app.http.filtering import Filters
from app.query.cursor import Direction, Sort
from app.query.field import Location
from app.query.page import DEFAULT_LIMIT, DEFAULT_SORT, MAX_LIMIT, MAX_SKIP, ListQuery, Page
from app.receipts.receipt import JsonObject

MAX_CURSOR: Final = 4_096  # characters
Search = Annotated[str, Field(min_length=1, max_length=200)]
CURSOR_NAMES: Final = ("cursor", "next_cursor", "after")  # the public client has all three


class Place(BaseModel):
    """Where a page lies and how long it is. The public client sends it in either place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int | None = Field(default=None, ge=1, le=MAX_LIMIT)
    page_size: int | None = Field(default=None, ge=1, le=MAX_LIMIT)
    page: int | None = Field(default=None, ge=1)
    offset: int | None = Field(default=None, ge=0)
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR)
    include_total: bool | None = None


class ListParams(Place):
    """The query parameters of every list."""

    next_cursor: str | None = Field(default=None, max_length=MAX_CURSOR)
    after: str | None = Field(default=None, max_length=MAX_CURSOR)
    search: Search | None = None


class SortBody(Body):
    """The order of a list."""

    field: str
    direction: Direction = Direction.DESC


class ListBody(Place):
    """The body of every list; a list with more of its own adds fields."""

    model_config = example({"filters": {"metadata.team": "web"}, "include_total": True})

    limit: Integer | None = Field(default=None, ge=1, le=MAX_LIMIT)
    page_size: Integer | None = Field(default=None, ge=1, le=MAX_LIMIT)
    page: Integer | None = Field(default=None, ge=1)
    offset: Integer | None = Field(default=None, ge=0)
    include_total: Flag | None = None
    filters: Filters | None = None
    sort: SortBody | None = None
    search: Search | None = None
    case_sensitive: Flag = False


def list_query(
    params: ListParams, body: ListBody | None = None, also: Mapping[str, object] | None = None
) -> ListQuery:
    """What the request asks; `InvalidError` when it says one thing in two ways that differ.

    Query parameters go before the body. `also` is the body's shorthand, without what is None.
    """
    body = body or ListBody()
    limit = _size(params, "query") or _size(body, "body") or DEFAULT_LIMIT
    cursor, skip = _start(params, limit, "query")
    if cursor is None and skip is None:
        cursor, skip = _start(body, limit, "body")
    total = params.include_total if params.include_total is not None else body.include_total
    return ListQuery(
        filters=body.filters,
        also={name: value for name, value in (also or {}).items() if value is not None},
        search=params.search or body.search,
        case_sensitive=body.case_sensitive,
        sort=Sort(body.sort.field, body.sort.direction) if body.sort else DEFAULT_SORT,
        limit=limit,
        cursor=cursor,
        skip=skip or 0,
        page=None if cursor else (skip or 0) // limit + 1,
        include_total=bool(total),
    )


def envelope(
    request: Request, page: Page[JsonObject], *, show_total: bool = True
) -> dict[str, object]:
    """`{"results", "pagination"}`; the links repeat the request's own query parameters."""
    size, total = page.page_size, page.total if show_total else None
    following = before = None
    if page.next_cursor is not None:
        within = page.page is not None and page.page * size <= MAX_SKIP
        place = {"page": (page.page or 0) + 1} if within else {"cursor": page.next_cursor}
        following = _link(request, place, size)
    if page.page is not None and page.page > 1:
        before = _link(request, {"page": page.page - 1}, size)
    return {
        "results": page.results,
        "pagination": {
            "total": total,
            "page": page.page,
            "page_size": size,
            "total_pages": None if total is None else -(-total // size),
            "next_page": following,
            "previous_page": before,
            "next_cursor": page.next_cursor,
        },
    }


def counted(query: ListQuery) -> ListQuery:
    """The same query with its total, for the lists whose `total_count` the public client needs."""
    return replace(query, include_total=True)


def listed(request: Request, query: ListQuery, page: Page[JsonObject]) -> dict[str, object]:
    """The envelope of a `counted` query: `total_count` always, `total` only when asked for."""
    shown = envelope(request, page, show_total=query.include_total)
    return {**shown, "total_count": page.total}


def _size(place: Place, where: str) -> int | None:
    if None not in (place.limit, place.page_size) and place.limit != place.page_size:
        message = "limit and page_size mean the same: send one of them"
        raise InvalidError.at(where, "limit", message=message)
    return place.limit or place.page_size


def _start(place: Place, limit: int, where: str) -> tuple[str | None, int | None]:
    """The cursor and the rows to skip; None for what the place does not say."""
    cursors = {c for name in CURSOR_NAMES if (c := getattr(place, name, None))}
    starts = [place.page not in (None, 1), place.offset not in (None, 0), *cursors]
    if sum(map(bool, starts)) > 1:
        message = "cursor, page and offset each say where the page begins: send one of them"
        raise InvalidError.at(where, "cursor", message=message)
    skip = place.offset
    if place.page is not None:
        skip = skip or (place.page - 1) * limit
    if skip is not None and skip > MAX_SKIP:
        message = f"page and offset reach {MAX_SKIP} rows deep: follow next_cursor instead"
        raise InvalidError.at(where, "offset", message=message)
    return (cursors.pop(), None) if cursors else (None, skip)


def _link(request: Request, place: Mapping[str, object], size: int) -> str:
    dropped: Location = ("page", "offset", "limit", "page_size", *CURSOR_NAMES)
    kept = [(key, value) for key, value in request.query_params.items() if key not in dropped]
    return f"{request.url.path}?{urlencode([*kept, ('limit', size), *place.items()])}"
