"""One page of any list: filters, order and place in; rows, total and next cursor out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout, OperationFailure

from app.database import Document
from app.errors import BadRequestError, InvalidError
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
from app.query.value import Scalar

DEFAULT_LIMIT: Final = 100  # rows of a page
MAX_LIMIT: Final = 1_000
MAX_SKIP: Final = 10_000  # rows: MongoDB reads each one that it skips
TIME_LIMIT_MS: Final = 5_000  # of each query: a slow list must not starve the others
BAD_REGEX_CODES: Final = frozenset({2, 51091, 51108, 51109})  # PCRE refuses some that Python takes

DEFAULT_SORT: Final = Sort("created_at", Direction.DESC)

Row = TypeVar("Row")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a request asks of a list. `filters` and `also` are as sent, still to be checked.

    `also` is shorthand from the body's top level, joined to the filters by AND. A page is found
    by `cursor` or by `skip`, never both; `page` is given back when the request used it. `now` is
    a condition of ours that may change from page to page, so that no cursor depends on it.
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
    """The page that the query asks for, of the rows in `scope`.

    `scope` is ours (the namespace, say) and no filter widens it. A projection must keep `_id`
    and the sortable fields. Raises `InvalidError` for what does not fit the fields or a cursor of
    another list, `BadRequestError` when a query takes longer than `TIME_LIMIT_MS`.
    """
    order = sort_field(query.sort, fields)
    condition = condition_of(scope, query, fields)
    asked = digest(condition, query.sort)
    condition = joined([condition, query.now])
    segments: list[Document] = [{}]
    if query.cursor is not None:
        cursor = read_cursor(query.cursor, asked, order)
        segments = segments_after(cursor, order, query.sort.direction)
    try:
        rows: list[Document] = []
        for segment in segments:
            missing = query.limit + 1 - len(rows)  # one more than the page: is there a next one?
            if missing:
                found = collection.find(joined([condition, segment]), projection)
                found.sort(_keys(order, query.sort)).skip(query.skip).limit(missing)
                rows += found.max_time_ms(TIME_LIMIT_MS)
        total = count(collection, condition) if query.include_total else None
    except OperationFailure as exc:
        raise explained(exc) from exc
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    next_cursor = None
    if more:
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


def count(collection: Collection[Document], condition: Document) -> int:
    """How many rows there are, within the time limit."""
    return collection.count_documents(condition, maxTimeMS=TIME_LIMIT_MS)


def sort_field(sort: Sort, fields: FieldSet) -> Field:
    """The field that the list runs by, or `InvalidError` listing those it may run by."""
    found = fields.fields.get(sort.field)
    if found is None or not found.sortable:
        message = f"the order must be by one of {', '.join(fields.sortable())}"
        raise InvalidError.at("body", "sort", "field", message=message, kind="unknown_field")
    return found


def explained(exc: OperationFailure) -> Exception:
    """The sentence a user gets for a query that MongoDB gave up or refused; else `exc` itself."""
    if isinstance(exc, ExecutionTimeout):
        seconds = TIME_LIMIT_MS // 1000
        message = f"The query took longer than {seconds} seconds: narrow its filters"
        return BadRequestError(f"{message}, or leave out include_total")
    if exc.code in BAD_REGEX_CODES and "regular expression" in str(exc).lower():
        return InvalidError.at(
            "body", "filters", message="a regular expression in the filters is not valid"
        )
    return exc


def _keys(order: Field, sort: Sort) -> list[tuple[str, int]]:
    """The sort keys; the id breaks ties the same way, so that one index serves both ways."""
    keys = [(order.path, sort.direction.sign)]
    return keys if order.path == "_id" else [*keys, ("_id", sort.direction.sign)]


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
