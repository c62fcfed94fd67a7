"""Pages joined are the sorted whole: for any data, any page size, while rows are written."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.collection import Collection
from pymongo.database import Database

from app.database import Document
from app.errors import InvalidError
from app.query.cursor import Direction, Sort
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, list_page

FIELDS = FieldSet(
    {
        "row_id": Field("_id", sortable=True, nullable=False),
        "name": Field("name", sortable=True),
        "rank": Field("nested.rank", Kind.NUMBER, sortable=True),
        "at": Field("at", Kind.DATETIME, sortable=True),
        "ready": Field("ready", Kind.BOOLEAN, sortable=True),
        "kind": Field("kind"),
    }
)
SCOPE = {"scope": "mine"}
START = datetime(2026, 1, 1, tzinfo=UTC)

MISSING = object()
ROW = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["", "a", "b", "é", None, MISSING]),
        "rank": st.sampled_from([-1, 0, 0.5, 1, None, MISSING]),
        "at": st.sampled_from([START, START + timedelta(milliseconds=1), None, MISSING]),
        "ready": st.sampled_from([True, False, None, MISSING]),
    }
)


def stored(row: Document) -> Document:
    found: Document = {key: value for key, value in row.items() if value is not MISSING}
    if "rank" in found:
        found["nested"] = {"rank": found.pop("rank")}
    return {"_id": secrets.token_hex(6), **SCOPE, **found}


def key(row: Document, name: str) -> tuple[Any, ...]:
    """MongoDB's order: null and missing first, then the values."""
    if name == "row_id":
        return (row["_id"],)
    value = row.get("nested", {}).get("rank") if name == "rank" else row.get(name)
    return (value is not None, 0 if value is None else value, row["_id"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(ROW, max_size=25),
    late=st.lists(ROW, max_size=10),
    limit=st.integers(1, 8),
    name=st.sampled_from(sorted(FIELDS.sortable())),
    direction=st.sampled_from(Direction),
)
def test_pages_are_the_sorted_whole(
    database: Database[Document],
    rows: list[Document],
    late: list[Document],
    limit: int,
    name: str,
    direction: Direction,
) -> None:
    collection = database[secrets.token_hex(4)]
    first = [stored(row) for row in rows]
    if first:
        collection.insert_many(first)
    collection.insert_one({"_id": "z" * 12, "scope": "theirs"})
    written = list(first)
    waiting = [stored(row) for row in late]
    seen: list[Document] = []
    sort, cursor = Sort(name, direction), None
    while True:
        query = ListQuery(sort=sort, limit=limit, cursor=cursor, include_total=True)
        page = list_page(collection, SCOPE, query, FIELDS)
        assert page.total == len(written)
        seen += page.results
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.results) == limit
        if waiting:
            written.append(waiting.pop())
            collection.insert_one(written[-1])
    ids = [row["_id"] for row in seen]
    assert len(set(ids)) == len(ids)
    assert {row["_id"] for row in first} <= set(ids)
    assert ids == [
        row["_id"]
        for row in sorted(seen, key=lambda r: key(r, name), reverse=direction is Direction.DESC)
    ]


@pytest.fixture
def rows(database: Database[Document]) -> Collection[Document]:
    collection = database["rows"]
    collection.insert_many(
        {"_id": f"{i:02}", **SCOPE, "name": f"n{i // 3}", "kind": "ab"[i % 2]} for i in range(12)
    )
    return collection


def by_name(**changes: Any) -> ListQuery:
    return ListQuery(sort=Sort("name", Direction.ASC), **changes)


def test_a_cursor_serves_only_the_list_it_came_from(rows: Collection[Document]) -> None:
    cursor = list_page(rows, SCOPE, by_name(limit=5), FIELDS).next_cursor
    assert cursor is not None
    refused = [
        by_name(cursor=cursor, filters={"kind": "a"}),
        ListQuery(sort=Sort("name", Direction.DESC), cursor=cursor),
        ListQuery(sort=Sort("rank", Direction.ASC), cursor=cursor),
        by_name(cursor="x"),
        by_name(cursor=cursor[:-3]),
        by_name(cursor="\ud800"),
    ]
    for query in refused:
        with pytest.raises(InvalidError, match="cursor"):
            list_page(rows, SCOPE, query, FIELDS)
    with pytest.raises(InvalidError, match="cursor"):
        list_page(rows, {"scope": "theirs"}, by_name(cursor=cursor), FIELDS)
    page = list_page(rows, SCOPE, by_name(limit=5, cursor=cursor), FIELDS)
    assert [row["_id"] for row in page.results] == ["05", "06", "07", "08", "09"]


@given(cursor=st.text(max_size=80), name=st.sampled_from(sorted(FIELDS.sortable())))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_made_up_cursor_is_refused(database: Database[Document], cursor: str, name: str) -> None:
    query = ListQuery(sort=Sort(name, Direction.ASC), cursor=cursor)
    with pytest.raises(InvalidError):
        list_page(database["none"], SCOPE, query, FIELDS)


def test_an_unknown_order_is_refused(rows: Collection[Document]) -> None:
    for name in ("kind", "nope", "$natural"):
        with pytest.raises(InvalidError, match="at, name, rank, ready, row_id"):
            list_page(rows, SCOPE, ListQuery(sort=Sort(name, Direction.ASC)), FIELDS)


def test_filters_find_what_they_mean(rows: Collection[Document]) -> None:
    def found(filters: object) -> list[str]:
        page = list_page(rows, SCOPE, by_name(filters=filters), FIELDS)
        return [row["_id"] for row in page.results]

    assert found({"name": "n0", "kind": "b"}) == ["01"]
    assert found({"name": ["n0", "n3"], "NOT": [{"kind": "a"}]}) == ["01", "09", "11"]
    assert found({"field": "name", "operator": "starts_with", "value": "N1"}) == ["03", "04", "05"]
    assert found({"field": "name", "operator": "ends_with", "value": "2"}) == ["06", "07", "08"]
    assert found({"field": "name", "operator": "contains", "value": "."}) == []
    assert found({"field": "name", "operator": "regex", "value": "^n[03]$"})[:3] == [
        "00",
        "01",
        "02",
    ]
