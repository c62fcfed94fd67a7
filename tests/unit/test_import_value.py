"""Cells of tables become values of properties, rows become objects."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.cli.command_error import CommandError
from waybill.cli.importing.position import EntryError
from waybill.cli.importing.row import RowMapper, read_places
from waybill.cli.importing.rule import Schema, flaw
from waybill.cli.importing.value import from_native, from_text

SCHEMA = Schema.read(
    {
        "properties": {
            "body": {"type": "text", "required": True},
            "price": {"type": "float"},
            "picture": {"type": "image"},
            "made": {"type": "date"},
        }
    }
)


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        ("string", " x ", " x "),
        ("text", "", None),
        ("integer", " 42 ", 42),
        ("integer", "", None),
        ("number", "3", 3),
        ("float", "3.5e2", 350.0),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("date", "2026-01-31", "2026-01-31"),
        ("datetime", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("datetime", "2026-01-31 12:00:00", "2026-01-31T12:00:00+00:00"),
        ("array", '["a", 1]', ["a", 1]),
        ("object", '{"a": null}', {"a": None}),
        (None, "12", "12"),
    ],
)
def test_a_cell_is_typed_by_the_schema(type_: str | None, text: str, expected: object) -> None:
    assert from_text(type_, text) == expected


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", "3.5"),
        ("number", "dear"),
        ("float", "nan"),
        ("float", "1e999"),
        ("boolean", "perhaps"),
        ("date", "31.1.2026"),
        ("datetime", "noon"),
        ("array", "[1"),
        ("json", "NaN"),
    ],
)
def test_a_cell_that_does_not_fit_is_told(type_: str, text: str) -> None:
    with pytest.raises(EntryError):
        from_text(type_, text)


@given(st.text(max_size=40), st.sampled_from(["integer", "float", "boolean", "datetime", "json"]))
def test_no_text_does_anything_but_fit_or_be_told(text: str, type_: str) -> None:
    with suppress(EntryError):
        json.dumps(from_text(type_, text), allow_nan=False)


def test_values_of_parquet_become_json() -> None:
    assert from_native(None, Decimal("3.50")) == 3.5
    assert from_native(None, Decimal("4")) == 4
    assert from_native(None, datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31T00:00:00+00:00"
    assert from_native(None, date(2026, 1, 31)) == "2026-01-31"
    assert from_native("image", b"\x89PNG") == "iVBORw=="
    assert from_native("text", "é".encode()) == "é"
    assert from_native(None, {"a": [Decimal("1"), None]}) == {"a": [1, None]}
    assert from_native(None, float("nan")) is None
    for value in (float("inf"), object(), b"\xff"):
        with pytest.raises(EntryError):
            from_native("text", value)


def test_a_row_becomes_an_object_without_what_it_says_nothing_about() -> None:
    mapper = RowMapper(SCHEMA, {"id": "key_prefix", "shop": "metadata.shop", "junk": ""})
    row = [
        *(("id", "p/1"), ("shop", "Bonn"), ("junk", "?")),
        *(("body", "hello"), ("price", ""), ("picture", "iVBORw==")),
    ]
    assert mapper.object_of(row, lambda kind, cell: from_text(kind, str(cell))) == {
        "key_prefix": "p/1",
        "metadata": {"shop": "Bonn"},
        "body": "hello",
        "blobs": [{"property": "picture", "type": "image", "data": "iVBORw=="}],
    }


def test_a_column_without_a_place_is_refused_with_the_way_out() -> None:
    mapper = RowMapper(SCHEMA, {"text": "body"})
    mapper.check(["text", "price"])
    with pytest.raises(CommandError, match="--map colour=PROPERTY, or --map colour= to leave"):
        mapper.check(["text", "colour"])
    with pytest.raises(CommandError, match="'text', which is not there"):
        mapper.check(["price"])
    with pytest.raises(CommandError, match="there twice"):
        mapper.check(["text", "price", "price"])
    with pytest.raises(CommandError, match="COLUMN=PROPERTY"):
        read_places(["text"])


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"body": "x", "price": 3, "made": "2026-01-31", "metadata": {}}, None),
        ({"blobs": [{"property": "body", "type": "text", "data": "x"}]}, None),
        ({"price": 3}, "'body' is required"),
        ({"body": "x", "colour": "red"}, "'colour' is not in the bucket's schema"),
        ({"body": "x", "price": True}, "'price' must be of type float"),
        ({"body": "x", "made": "soon"}, "'made' must be of type date"),
        ({"body": "x", "picture": "iVBORw=="}, "'picture' must be of type image"),
        ({"body": "x", "blobs": ["y"]}, "'blobs' must be an array of objects"),
    ],
)
def test_a_dry_run_sees_what_does_not_agree(found: dict[str, object], problem: str | None) -> None:
    said = flaw(SCHEMA, found)
    assert (said is None) if problem is None else (said is not None and problem in said)
