"""Bucket schemas: what they parse, what they refuse, and what agrees with them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidError, Problem
from app.resources.property import RESERVED_NAMES, Property, PropertyType
from app.resources.schema import BucketSchema, violations

STORED = {"properties": {"body": {"type": "text", "required": True}, "price": {"type": "float"}}}

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text(max_size=5) | st.integers()
ANYTHING = st.recursive(
    SCALARS | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["body", "price", "$x", "a.b", "", "object_id", "\ud800", "other"])
SCHEMAS = st.builds(
    BucketSchema,
    st.dictionaries(
        st.sampled_from(["body", "price", "photo"]),
        st.builds(Property, st.sampled_from(PropertyType), st.booleans()),
    ),
)


def one_property(type_: str, *, required: bool = False) -> BucketSchema:
    return BucketSchema.parse({"properties": {"x": {"type": type_, "required": required}}})


def messages(problems: list[Problem]) -> str:
    return "\n".join(problem.message for problem in problems)


def test_a_schema_reads_its_stored_form_and_writes_it_again() -> None:
    schema = BucketSchema.parse(STORED)
    assert schema.properties["body"] == Property(PropertyType.TEXT, required=True)
    assert schema.properties["price"] == Property(PropertyType.FLOAT, required=False)
    assert BucketSchema.parse(schema.to_json()) == schema


def test_a_description_is_kept() -> None:
    stored = {"properties": {"x": {"type": "json", "required": False, "description": "what"}}}
    assert BucketSchema.parse(stored).to_json() == stored


def test_an_unknown_type_is_answered_with_the_legal_ones() -> None:
    with pytest.raises(
        InvalidError, match=r"'x' has no legal type.*string.*datetime.*json"
    ) as info:
        one_property("varchar")
    assert info.value.problems[0].location == ("bucket_schema", "properties", "x", "type")


@pytest.mark.parametrize("raw", [None, "text", [], {"properties": []}, {"properties": None}, {}])
def test_what_is_no_schema_is_refused(raw: object) -> None:
    with pytest.raises(InvalidError, match="a bucket schema is an object"):
        BucketSchema.parse(raw)


@pytest.mark.parametrize("type_", [None, 3, ["text"], {"a": 1}, "TEXT", "varchar"])
def test_a_type_of_any_shape_is_judged(type_: object) -> None:
    with pytest.raises(InvalidError, match="no legal type"):
        BucketSchema.parse({"properties": {"x": {"type": type_}}})


@pytest.mark.parametrize(
    "name", ["", " ", "$where", "_id", "a.b", "a\0b", "\ud800", *sorted(RESERVED_NAMES)]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidError) as info:
        BucketSchema.parse({"properties": {name: {"type": "text"}}})
    assert len(info.value.problems) == 1
    assert str(info.value).isprintable()


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidError) as info:
        BucketSchema.parse(
            {
                "extra": 1,
                "properties": {
                    "status": {"type": "text"},
                    "a": {"type": "nope"},
                    "b": {"type": "text", "requird": True},
                    "c": {"type": "text", "required": "yes", "description": 3},
                    "d": "text",
                },
            }
        )
    assert len(info.value.problems) == 7
    assert "'requird' of property 'b' is unknown" in str(info.value)


AGREEING: list[tuple[str, object]] = [
    ("string", "s"),
    ("text", ""),
    ("number", 3),
    ("number", 3.5),
    ("float", 3),
    ("float", -0.5),
    ("integer", 3),
    ("integer", -(2**63)),
    ("boolean", False),
    ("object", {"a": [1, {"b": None}]}),
    ("array", []),
    ("date", "2024-02-29"),
    ("datetime", "2024-02-29T23:59:59Z"),
    ("datetime", "2024-02-29t23:59:59.123456789+02:00"),
    ("json", [1, "a", None]),
    ("json", True),
]

DISAGREEING: list[tuple[str, object]] = [
    ("string", 3),
    ("text", ["a"]),
    ("text", "\ud800"),
    ("number", True),
    ("number", "3"),
    ("float", math.nan),
    ("float", math.inf),
    ("integer", 3.5),
    ("integer", True),
    ("integer", 2**63),
    ("boolean", 1),
    ("object", []),
    ("array", {}),
    ("date", "2023-02-29"),
    ("date", "20240101"),
    ("date", "2024-01-01T00:00:00Z"),
    ("date", "٢٠٢٤-٠١-٠١"),
    ("datetime", "2024-01-01"),
    ("datetime", "2024-01-01T00:00:00"),
    ("datetime", "2024-01-01T25:00:00Z"),
    ("datetime", 1700000000),
    ("image", "aGVsbG8="),
    ("json", {"deep": [math.inf]}),
    ("json", {1: 2}),
    ("json", b"bytes"),
    ("object", {"nul\0": 1}),
]


@pytest.mark.parametrize(("type_", "value"), AGREEING)
def test_agreeing_values(type_: str, value: object) -> None:
    assert violations(one_property(type_, required=True), {"x": value}, []) == []


@pytest.mark.parametrize(("type_", "value"), DISAGREEING)
def test_disagreeing_values_are_named(type_: str, value: object) -> None:
    (problem,) = violations(one_property(type_), {"x": value}, [])
    assert problem.location == ("x",)
    assert problem.message.startswith("property 'x' ")
    assert problem.message.isprintable()


def test_nesting_beyond_what_mongodb_holds_is_refused() -> None:
    value: object = 1
    for _ in range(5_000):
        value = [value]
    (problem,) = violations(one_property("json"), {"x": value}, [])
    assert "nested deeper" in problem.message


@pytest.mark.parametrize("fields", [{}, {"price": 3.5}, {"body": None}])
def test_a_missing_required_property_is_named(fields: dict[str, object]) -> None:
    (problem,) = violations(BucketSchema.parse(STORED), fields, [])
    assert problem == Problem(("body",), "property 'body' is required (text)", "missing")


def test_a_blob_fills_a_required_property() -> None:
    blob = {"property": "body", "type": "text", "data": "hello", "metadata": {"page": 1}}
    assert violations(BucketSchema.parse(STORED), {"price": 3.5}, [blob]) == []


@pytest.mark.parametrize(("owner", "type_"), [("string", "text"), ("float", "number")])
def test_a_blob_of_a_like_type_will_do(owner: str, type_: str) -> None:
    data: object = "a" if type_ == "text" else 1.5
    blob = {"property": "x", "type": type_, "data": data}
    assert violations(one_property(owner), {}, [blob]) == []


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        ({"property": "x", "type": "image", "data": "aGk="}, "takes a blob of type 'text'"),
        ({"property": "x", "type": "video", "data": "aGk="}, "a blob's type is one of"),
        ({"property": "x", "type": ["text"], "data": "aGk="}, "a blob's type is one of"),
        ({"property": "y", "type": "text", "data": "a"}, "'y' is not in the bucket's schema"),
        ({"property": 3, "type": "text", "data": "a"}, "names the property"),
        ({"property": "x", "type": "text"}, "either 'data' or 'url'"),
        ({"property": "x", "type": "text", "data": "a", "url": "file:///a"}, "either 'data' or"),
        ({"property": "x", "type": "text", "data": "a", "metadata": {"n": math.nan}}, "NaN"),
    ],
)
def test_a_blob_that_does_not_fit_is_named(blob: dict[str, object], said: str) -> None:
    problems = violations(one_property("text"), {}, [blob])
    assert said in messages(problems)
    assert problems[0].location[:2] == ("blobs", 0)


def test_a_scalar_blob_is_judged_by_its_type() -> None:
    blob = {"property": "x", "type": "integer", "data": 3.5}
    (problem,) = violations(one_property("integer"), {}, [blob])
    assert problem.location == ("blobs", 0, "data")
    assert "must be an integer" in problem.message


def test_a_property_is_given_once() -> None:
    blob = {"property": "x", "type": "text", "data": "a"}
    assert "given twice" in messages(violations(one_property("text"), {"x": "b"}, [blob]))
    assert "given twice" in messages(violations(one_property("text"), {}, [blob, blob]))


def test_an_unknown_field_is_answered_with_the_schema() -> None:
    (problem,) = violations(BucketSchema.parse(STORED), {"body": "a", "prise": 1}, [])
    assert (
        problem.message == "property 'prise' is not in the bucket's schema, which has body, price"
    )


def test_a_schema_without_properties_takes_every_storable_field() -> None:
    schema = BucketSchema.parse({"properties": {}})
    blob = {"property": "photo", "type": "image", "data": "aGk="}
    assert violations(schema, {"a": 1, "b": [None, {"c": "d"}]}, [blob]) == []
    assert len(violations(schema, {"$a": 1, "b": math.nan, "c.d": 1}, [])) == 3


@given(SCHEMAS, st.dictionaries(NAMES, ANYTHING), st.lists(st.dictionaries(NAMES, ANYTHING)))
def test_violations_never_raise(
    schema: BucketSchema, fields: dict[str, object], blobs: list[dict[str, object]]
) -> None:
    for problem in violations(schema, fields, blobs):
        "".join([problem.message, *map(str, problem.location)]).encode()


@given(
    SCHEMAS,
    st.lists(
        st.fixed_dictionaries(
            {"property": NAMES | ANYTHING, "type": st.sampled_from(PropertyType) | ANYTHING},
            optional={"data": ANYTHING, "url": ANYTHING, "metadata": ANYTHING},
        )
    ),
)
def test_violations_of_blobs_never_raise(
    schema: BucketSchema, blobs: list[dict[str, object]]
) -> None:
    for problem in violations(schema, {}, blobs):
        "".join([problem.message, *map(str, problem.location)]).encode()


@given(ANYTHING)
def test_parse_returns_a_schema_or_raises_invalid(value: object) -> None:
    try:
        schema = BucketSchema.parse({"properties": value})
    except InvalidError:
        return
    assert BucketSchema.parse(schema.to_json()) == schema


@given(SCHEMAS)
def test_every_schema_survives_being_stored(schema: BucketSchema) -> None:
    assert BucketSchema.parse(schema.to_json()) == schema
