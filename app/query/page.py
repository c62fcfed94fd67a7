"""One page of any list: filters, order and place in; rows, total and next cursor out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from app.database import Document
from app.errors import InvalidError
from app.query.condition import compile_filters, joined
from app.query.cursor import (
    Cursor,
    Direction,
    Sort,
    digest,
    read_cursor,
    segments_after,
    write_cursor,
)
from app.query.field import Field, FieldSet
from app.query.patience import COUNTLESS, TIME_LIMIT_MS, explained, narrower
from app.query.route import NO_ROUTE, equal_values, excludes_null
from app.query.value import Scalar

DEFAULT_LIMIT: Final = 100  # rows of a page
MAX_LIMIT: Final = 1_000
MAX_SKIP: Final = 10_000  # rows: MongoDB reads each one that it skips

DEFAULT_SORT: Final = Sort("created_at", Direction.DESC)

Row = TypeVar("Row")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a request asks of a list. `filters` and `also` are as sent, still to be checked.

    `also` is shorthand from the body's top level, joined to the filters by AND. A page is found
    by `cursor` or by `skip`, never both; `page` is given back when the request used it. `now` is
    a condition of ours that may change from page to page, so that no cursor depends on it;
    `within_ms` is how long MongoDB may take for all of the page.
    """

    filters: object = None
    also: Mapping[str, object] = field(default_factory=dict)
    search: str | None = None
    case_sensitive: bool = False
    now: Document = field(default_factory=dict)
    sort: Sort = DEFAULT_SORT
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    skip: int = 0
    page: int | None = 1
    include_total: bool = False
    within_ms: int = TIME_LIMIT_MS


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in order; `next_cursor` is None on the last page, `total` None unless asked for."""

    results: list[Row]
    page: int | None
    page_size: int
    next_cursor: str | None
    total: int | None

    def map(self, change: Callable[[Row], Other]) -> "Page[Other]":
        """The same page over other rows."""
        rows = [change(row) for row in self.results]
        return Page(rows, self.page, self.page_size, self.next_cursor, self.total)


def list_page(
    collection: Collection[Document],
    scope: Document,
    query: ListQuery,
    fields: FieldSet,
    projection: Mapping[str, object] | None = None,
) -> Page[Document]:
    """The page that the query asks for, of the rows in `scope`, all as they are at one moment.

    `scope` is ours (the namespace, say) and no filter widens it. A projection must keep `_id`
    and the sortable fields. Raises `InvalidError` for what does not fit the fields or a cursor of
    another list, `BadRequestError` when it takes longer than the query's `within_ms`.
    """
    order = sort_field(query.sort, fields)
    condition = condition_of(scope, query, fields)
    asked = digest(condition, query.sort)
    route = fields.route(condition, query.sort.field) if fields.route else NO_ROUTE
    condition = joined([condition, query.now])
    parts = list(route.parts if query.sort.direction is Direction.ASC else route.parts[::-1])
    segments = parts if parts and not query.skip else [{}]
    if query.cursor is not None:
        cursor = read_cursor(query.cursor, asked, order)
        segments = _segments(condition, cursor, order, query.sort.direction, parts)
    until_s = time.monotonic() + query.within_ms / 1000
    rows: list[Document] = []
    advice = narrower(fields.narrowing or fields.sortable())
    total = None
    with collection.database.client.start_session(snapshot=True) as moment:
        with explained(within_ms=query.within_ms, advice=advice):
            for segment in segments:
                missing = query.limit + 1 - len(rows)  # one more than the page: is there a next?
                if missing:
                    within = joined([condition, route.also, segment])
                    found = collection.find(within, projection, hint=route.hint, session=moment)
                    found.sort(_keys(within, order, query.sort)).skip(query.skip).limit(missing)
                    rows += found.max_time_ms(_left_ms(until_s))
        if query.include_total:
            with explained(within_ms=query.within_ms, advice=COUNTLESS):
                total = count(collection, condition, moment, within_ms=_left_ms(until_s))
    next_cursor = None
    if len(rows) > query.limit:
        rows = rows[: query.limit]
        last = Cursor(_value_at(rows[-1], order), rows[-1]["_id"])
        next_cursor = write_cursor(last, asked)
    return Page(rows, query.page, query.limit, next_cursor, total)


def condition_of(scope: Document, query: ListQuery, fields: FieldSet) -> Document:
    """The scope, the filters, the shorthand and the search, joined by AND."""
    case = query.case_sensitive
    parts = [scope, compile_filters(query.filters, fields, case_sensitive=case)]
    parts += [
        compile_filters({name: v}, fields, location=("body",)) for name, v in query.also.items()
    ]
    if query.search is not None:
        parts.append(_search(query.search, fields, case))
    return joined(parts)


def count(
    collection: Collection[Document],
    condition: Document,
    moment: ClientSession | None = None,
    *,
    within_ms: int = TIME_LIMIT_MS,
) -> int:
    """How many rows there are, at a session's moment; `ExecutionTimeout` where it takes longer."""
    return collection.count_documents(condition, session=moment, maxTimeMS=within_ms)


def sort_field(sort: Sort, fields: FieldSet) -> Field:
    """The field that the list runs by, or `InvalidError` listing those it may run by."""
    found = fields.fields.get(sort.field)
    if found is None or not found.sortable:
        message = f"the order must be by one of {', '.join(fields.sortable())}"
        raise InvalidError.at("body", "sort", "field", message=message, kind="unknown_field")
    return found


def _left_ms(until_s: float) -> int:
    """What is left of the time; MongoDB takes 0 for no limit."""
    return max(1, int(1000 * (until_s - time.monotonic())))


def _segments(
    condition: Document,
    cursor: Cursor,
    order: Field,
    direction: Direction,
    parts: list[Document],
) -> list[Document]:
    """What follows the cursor, without parts that the condition leaves empty."""
    ties, *_ = segments_after(cursor, order, direction)
    if _is_pinned(condition, order):
        return [ties]
    at = {order.path: {"$eq": cursor.value}}
    if at in parts:
        return [ties, *parts[parts.index(at) + 1 :]]
    nullable = order.nullable and not excludes_null(condition, order.path)
    return segments_after(cursor, replace(order, nullable=nullable), direction)


def _is_pinned(condition: Document, order: Field) -> bool:
    """Whether all rows have one value in the order's field."""
    values = equal_values(condition, order.path)
    return values is not None and len(values) == 1


def _keys(condition: Document, order: Field, sort: Sort) -> list[tuple[str, int]]:
    """The sort keys; the id breaks ties the same way, so that one index serves both ways.

    Where all rows tie they run by the id alone: MongoDB does not see by itself that an index has
    those of several statuses in the order of both.
    """
    by_id = ("_id", sort.direction.sign)
    if order.path == "_id" or _is_pinned(condition, order):
        return [by_id]
    return [(order.path, sort.direction.sign), by_id]


def _search(text: str, fields: FieldSet, case: bool) -> Document:
    if not fields.searchable:
        raise InvalidError.at("body", "search", message="this list has no free-text search")
    wanted = [{"field": name, "operator": "contains", "value": text} for name in fields.searchable]
    location = ("body", "search")
    return compile_filters({"OR": wanted}, fields, location=location, case_sensitive=case)


def _value_at(row: Document, order: Field) -> Scalar:
    """The row's value in the order's field; None when it is null or missing."""
    value: object = row
    for part in order.path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is not None and not isinstance(value, str | int | float | datetime):
        raise TypeError(f"{order.path} holds a {type(value).__name__}: it cannot be an order")
    return value
