"""Filters compile to what they mean, or are refused with a sentence that helps."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidError
from app.query.condition import MAX_CONDITIONS, MAX_DEPTH, compile_filters
from app.query.field import Field, FieldSet, Kind
from app.query.operator import Operator
from app.query.pattern import explodes

FIELDS = FieldSet(
    {
        "status": Field("status", choices=("PENDING", "FAILED")),
        "name": Field("name", sortable=True),
        "size": Field("size", Kind.NUMBER),
        "ready": Field("ready", Kind.BOOLEAN),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "object_id": Field("_id"),
    },
    prefixes={"metadata": "metadata"},
    searchable=("name",),
)


def refusal(filters: object) -> str:
    with pytest.raises(InvalidError) as caught:
        compile_filters(filters, FIELDS)
    return str(caught.value)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"AND": [], "OR": [], "NOT": []}, {}),
        ({"status": "FAILED"}, {"status": {"$eq": "FAILED"}}),
        ({"status": ["FAILED", "PENDING"]}, {"status": {"$in": ["FAILED", "PENDING"]}}),
        ({"object_id": "obj_1"}, {"_id": {"$eq": "obj_1"}}),
        ({"size": None}, {"size": {"$eq": None}}),
        (
            {"name": "a", "size": 1},
            {"$and": [{"name": {"$eq": "a"}}, {"size": {"$eq": 1}}]},
        ),
        (
            {"field": "created_at", "operator": "gte", "value": "2026-01-01T01:00:00+01:00"},
            {"created_at": {"$gte": datetime(2026, 1, 1, tzinfo=UTC)}},
        ),
        ({"field": "size", "operator": "is_null", "value": True}, {"size": {"$eq": None}}),
        ({"field": "size", "operator": "is_null"}, {"size": {"$eq": None}}),
        ({"field": "size", "operator": "exists", "value": False}, {"size": {"$exists": False}}),
        ({"field": "metadata.a.b", "value": 2.5}, {"metadata.a.b": {"$eq": 2.5}}),
        (
            {"field": "name", "operator": "contains", "value": "a.b"},
            {"name": {"$regex": r"a\.b", "$options": "i"}},
        ),
        (
            {
                "case_sensitive": True,
                "AND": [{"field": "name", "operator": "regex", "value": "^a"}],
            },
            {"$and": [{"name": {"$regex": "^a", "$options": ""}}]},
        ),
        (
            {"field": "name", "operator": "regex", "value": "^a", "case_sensitive": True},
            {"name": {"$regex": "^a", "$options": ""}},
        ),
        (
            {
                "case_sensitive": True,
                "OR": [
                    {
                        "case_sensitive": False,
                        "field": "name",
                        "operator": "ends_with",
                        "value": "a",
                    }
                ],
            },
            {"$or": [{"name": {"$regex": r"a\z", "$options": ""}}]},
        ),
        (
            {"NOT": [{"name": "a"}, {"size": 1}]},
            {"$nor": [{"name": {"$eq": "a"}}, {"size": {"$eq": 1}}]},
        ),
        (
            {"OR": [{"name": "a"}, {"AND": [{"ready": True}, {"size": 1}]}], "status": "FAILED"},
            {
                "$and": [
                    {
                        "$or": [
                            {"name": {"$eq": "a"}},
                            {"$and": [{"ready": {"$eq": True}}, {"size": {"$eq": 1}}]},
                        ]
                    },
                    {"status": {"$eq": "FAILED"}},
                ]
            },
        ),
    ],
)
def test_filters_mean_this(filters: object, expected: object) -> None:
    assert compile_filters(filters, FIELDS) == expected


@pytest.mark.parametrize(
    ("filters", "part"),
    [
        ([], "a filter is an object"),
        ({"nope": 1}, "the fields are created_at, name"),
        ({"field": "status", "operator": "gt", "value": "A"}, "one of eq, ne, in, nin"),
        ({"field": "size", "operator": "regex", "value": "A"}, "must be one of eq"),
        ({"field": "name", "operator": "$where", "value": "1"}, "must be one of eq"),
        ({"field": "name", "operator": ["eq"], "value": "1"}, "must be one of eq"),
        ({"field": "name", "op": "eq", "value": "1"}, "not 'op'"),
        ({"field": "name", "operator": "eq"}, "no value"),
        ({"status": "failed"}, "one of PENDING, FAILED"),
        ({"size": "1"}, "a number"),
        ({"size": True}, "a number"),
        ({"size": 1 << 63}, "a number"),
        ({"size": float("nan")}, "a number"),
        ({"ready": 1}, "true or false"),
        ({"created_at": "yesterday"}, "a time such as"),
        ({"created_at": "2026-01-01T00:00:00"}, "a time such as"),
        ({"created_at": "2026-01-01"}, "a time such as"),
        ({"name": {"$gt": ""}}, "shorthand takes a value"),
        ({"field": "name", "operator": "eq", "value": {"$gt": ""}}, "a string"),
        ({"field": "name", "operator": "gt", "value": None}, "is_null"),
        ({"field": "name", "operator": "in", "value": []}, "a list of 1 to 1000"),
        ({"field": "name", "operator": "in", "value": "a"}, "a list of 1 to 1000"),
        ({"field": "name", "operator": "contains", "value": ""}, "1 to 1000 characters"),
        ({"field": "name", "operator": "contains", "value": "a\0"}, "1 to 1000 characters"),
        ({"field": "name", "operator": "regex", "value": "("}, "not a valid regular expression"),
        ({"field": "name", "operator": "regex", "value": "(a+)+"}, "repeats"),
        ({"field": "name", "operator": "regex", "value": "a" * 201}, "1 to 200 characters"),
        ({"metadata.$where": 1}, "neither '$'"),
        ({"metadata.a\0b": 1}, "control"),
        ({"metadata.": 1}, "there is no field"),
        ({"metadata.a..b": 1}, "no empty part"),
        ({"$or": [{"name": "a"}]}, "there is no field '$or'"),
        ({"AND": {"name": "a"}}, "takes a list"),
        ({"name": "\ud800"}, "a string"),
    ],
)
def test_refusals_say_what_is_right(filters: object, part: str) -> None:
    assert part in refusal(filters)


def test_the_place_of_a_fault_is_named() -> None:
    with pytest.raises(InvalidError) as caught:
        compile_filters({"AND": [{"name": "a"}, {"field": "size", "value": "x"}]}, FIELDS)
    assert caught.value.problems[0].location == ("body", "filters", "AND", 1, "value")


def test_depth_and_breadth_are_bounded() -> None:
    deep: dict[str, Any] = {"name": "a"}
    for _ in range(MAX_DEPTH - 1):
        deep = {"AND": [deep]}
    compile_filters(deep, FIELDS)
    assert "nest at most" in refusal({"AND": [deep]})
    wide = [{"name": "a"}] * MAX_CONDITIONS
    compile_filters({"OR": wide}, FIELDS)
    assert "at most 100 conditions" in refusal({"OR": [*wide, {"name": "a"}]})


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a*)*b", "(a|aa)+$", "((ab)*c)*", "(?:x{1,})+", "([a-z]+)*", "(a?){50}", ".*" * 9],
)
def test_explosive_patterns_are_seen(pattern: str) -> None:
    assert explodes(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["^a.*b$", r"\(a+\)+", "(abc)+", "[(a+)]+", "a{2,3}", "(?i)x+", "(a|b)", "(a+)?", "[]+]+x"],
)
def test_plain_patterns_pass(pattern: str) -> None:
    re.compile(pattern)
    assert not explodes(pattern)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["AND", "OR", "NOT", "field", "operator", "value", "case_sensitive"])
            | st.sampled_from(["name", "size", "created_at", "metadata.x", "$where", "$or"])
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
CONDITION = st.fixed_dictionaries(
    {
        "field": st.sampled_from([*FIELDS.fields, "metadata.x", "metadata.$x", "no"]),
        "operator": st.sampled_from([*Operator, "$eq", "where"]),
        "value": JSON | st.sampled_from(["2026-01-01T00:00:00Z", "$where", "(a+)+", "FAILED"]),
    }
)
FILTERS = st.recursive(
    CONDITION | JSON,
    lambda inner: st.dictionaries(
        st.sampled_from(["AND", "OR", "NOT"]), st.lists(inner, max_size=3), max_size=3
    ),
    max_leaves=10,
)
OURS = {f"${name}" for name in ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")} | {
    "$exists",
    "$regex",
    "$options",
}


def assert_only_ours(compiled: object, *, comparing: bool = False) -> None:
    """Keys are operators of ours or declared paths; what stands under a comparison is a value."""
    assert isinstance(compiled, dict)
    for key, inner in compiled.items():
        if comparing:
            assert key in OURS
            values = inner if isinstance(inner, list) else [inner]
            assert not any(isinstance(value, dict | list) for value in values)
        elif key.startswith("$"):
            assert key in {"$and", "$or", "$nor"}
            for member in inner:
                assert_only_ours(member)
        else:
            assert "$" not in key
            assert_only_ours(inner, comparing=True)


@given(FILTERS | JSON)
def test_nothing_of_a_request_becomes_an_operator(filters: object) -> None:
    try:
        compiled = compile_filters(filters, FIELDS)
    except InvalidError:
        return
    assert_only_ours(compiled)
