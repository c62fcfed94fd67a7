"""What a compiled condition says of one field for every row."""

from datetime import UTC, datetime

import pytest

from app.database import Document
from app.query.route import equal_values, excludes_null
from app.receipts.index import BY_CREATION, BY_END, BY_TYPE
from app.resources.task import route


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, None),
        ({"status": {"$eq": "A"}}, {"A"}),
        ({"status": {"$in": ["A", "B"]}}, {"A", "B"}),
        ({"$and": [{"status": {"$in": ["A", "B"]}}, {"status": {"$eq": "B"}}]}, {"B"}),
        ({"$and": [{"status": {"$eq": "A"}}, {"$and": [{"status": {"$eq": "B"}}]}]}, set()),
        ({"status": {"$ne": "A"}}, None),
        ({"$or": [{"status": {"$eq": "A"}}]}, None),
        ({"$nor": [{"status": {"$eq": "A"}}]}, None),
    ],
)
def test_values_that_are_left_by_equality(
    condition: Document, expected: set[object] | None
) -> None:
    assert equal_values(condition, "status") == expected


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [({"$lt": 1}, True), ({"$gte": 1}, True), ({"$ne": None}, False), ({"$eq": None}, False)],
)
def test_no_null_passes_a_comparison_by_order(comparison: Document, *, expected: bool) -> None:
    assert excludes_null({"$and": [{"a": 1}, {"b": comparison}]}, "b") is expected
    assert not excludes_null({"$or": [{"b": comparison}]}, "b")


def test_the_type_leads_where_the_status_tells_less() -> None:
    of_type: Document = {"task_type": {"$eq": "a"}}
    completed, failed = ({"status": {"$eq": name}} for name in ("COMPLETED", "FAILED"))
    assert route(of_type, "created_at").hint == BY_TYPE
    assert route({"$and": [of_type, completed]}, "created_at").hint == BY_TYPE
    assert route({"$and": [of_type, failed]}, "created_at").hint == BY_CREATION
    assert route(of_type, "ended_at").hint == BY_END
    assert set(route(of_type, "ended_at").also) == {"status"}
    assert not route(failed, "ended_at").also


def test_named_tasks_are_looked_up() -> None:
    named: Document = {"_id": {"$in": ["tsk_a", "tsk_b"]}}
    found = route({"$and": [named, {"status": {"$eq": "FAILED"}}]}, "created_at")
    assert found.hint == (("_id", 1),)


def test_moments_are_parts_as_mongodb_keeps_them() -> None:
    early, late = (datetime(2026, 1, day, 12, 0, 0, 250_000, UTC) for day in (1, 2))
    asked = [late.replace(microsecond=250_999), None, early, late]
    found = route({"ended_at": {"$in": asked}}, "ended_at").parts
    assert found == tuple({"ended_at": {"$eq": each}} for each in (None, early, late))
    assert route({"created_at": {"$in": asked}}, "ended_at").parts == ()
    assert route({"ended_at": {"$eq": early}}, "ended_at").parts == ()
