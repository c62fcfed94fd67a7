"""What an event, a name, a count and a note may be."""

import json
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tracking.payload import (
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_NOTE_CHARACTERS,
    check_count,
    check_name,
    encode,
    note_of,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | FLOATS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@settings(max_examples=40)
@given(st.dictionaries(TEXTS, VALUES))
def test_what_is_taken_is_json_that_reads_back_equal(event: dict[str, Any]) -> None:
    assert json.loads(encode(event)) == event


@pytest.mark.parametrize(
    ("event", "place", "right"),
    [
        ({"a": [1, 2, 3, float("nan")]}, "event['a'][3]", "use None"),
        ({"a": {"b": float("-inf")}}, "event['a']['b']", "use None"),
        ({"a": "b\0"}, "event['a']", "NUL character"),
        ({"a": [{"b\0": 1}]}, "event['a'][0]['b\\x00']", "NUL character"),
        ({"a": "\ud800"}, "event['a']", "lone surrogate"),
        ({"\udfff": 1}, "event['\\udfff']", "lone surrogate"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "event['at']", ".isoformat()"),
        ({"on": date(2026, 1, 1)}, "event['on']", ".isoformat()"),
        ({"raw": b"x"}, "event['raw']", "base64"),
        ({"ids": {1}}, "event['ids']", "use a list"),
        ({"size": (1, 2)}, "event['size']", "use a list"),
        ({"count": np.int64(3)}, "event['count']", "use .tolist()"),
        ({"vector": np.zeros(2)}, "event['vector']", "use .tolist()"),
        ({"price": Decimal("1.5")}, "event['price']", "a Decimal isn't JSON"),
        ({"id": UUID(int=1)}, "event['id']", "a UUID isn't JSON"),
        ({"a": {1: "b"}}, "event['a'][1]", "use str(...)"),
        ({"a": 10**4_000}, "event['a']", "4,000 digits"),
        ([], "event is not valid", "must be a dict"),
        (None, "event is not valid", "must be a dict"),
    ],
)
def test_what_jsonb_cannot_hold_is_refused_with_its_place(
    event: object, place: str, right: str
) -> None:
    with pytest.raises(ValueError, match="is not valid") as caught:
        encode(event)
    assert place in str(caught.value)
    assert right in str(caught.value)


def test_nesting_is_taken_to_its_bound_and_refused_beyond() -> None:
    deepest: Any = []
    for _ in range(MAX_DEPTH - 2):
        deepest = [deepest]
    assert json.loads(encode({"a": deepest})) == {"a": deepest}
    with pytest.raises(ValueError, match="nested deeper than 200 levels"):
        encode({"a": [deepest]})
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested deeper"):
        encode({"a": endless})


def test_an_event_is_taken_to_a_bound_of_bytes() -> None:
    room = MAX_EVENT_BYTES - len('{"a":""}')
    assert len(encode({"a": "x" * room})) == MAX_EVENT_BYTES
    with pytest.raises(ValueError, match="67,108,865 bytes, at most 67,108,864"):
        encode({"a": "x" * (room + 1)})


def test_kinds_of_dicts_and_texts_are_taken_as_what_they_are() -> None:
    class Name(str):
        __slots__ = ()

    assert encode(OrderedDict([(Name("a"), Name("b"))])) == '{"a":"b"}'


@given(st.floats(min_value=1e16, allow_infinity=False))
def test_a_float_that_jsonb_would_round_is_written_as_the_integer_that_it_is(value: float) -> None:
    text = encode({"a": value})
    assert "e" not in text.removeprefix('{"a":')
    assert json.loads(text)["a"] == value


@given(st.text(st.characters()) | st.none())
def test_a_note_can_always_be_stored(note: str | None) -> None:
    stored = note_of(note)
    if note is None:
        assert stored is None
    else:
        assert stored is not None
        stored.encode()
        assert "\0" not in stored
        assert len(stored) == len(note)


def test_a_note_is_cut_at_its_bound_and_may_be_an_error() -> None:
    assert note_of("x" * 20_000) == "x" * MAX_NOTE_CHARACTERS
    assert note_of(ValueError("no such file")) == "no such file"
    assert note_of("a\0\ud800b") == "a\ufffd\ufffdb"


@pytest.mark.parametrize("name", ["", " ", "\0", "a\0b", "\udc80", "ä" * 128, 7, None, b"a"])
def test_a_name_that_cannot_be_stored_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match=r"^reference"):
        check_name("reference", name)


@pytest.mark.parametrize("name", ["a", "日本 🚲", "'\"\\%s", "x" * 255])
def test_names_are_taken_as_they_are(name: str) -> None:
    assert check_name("reference", name) == name


def test_counts_are_whole_numbers_of_64_bits() -> None:
    class Index:
        def __index__(self) -> int:
            return 7

    assert check_count("input_rows", None) is None
    assert check_count("input_rows", Index()) == 7
    assert check_count("input_rows", 2**63 - 1) == 2**63 - 1
    for wrong in (-1, 2**63, True):
        with pytest.raises(ValueError, match=r"^input_rows=.* must be a count"):
            check_count("input_rows", wrong)
