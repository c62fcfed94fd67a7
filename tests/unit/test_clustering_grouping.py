"""Groups by values of fields."""

import pytest

from app.errors import PermanentError
from app.json_value import JsonValue
from workers.clustering.grouping import MAX_GROUPS, group

ROWS: list[tuple[str, list[JsonValue]]] = [
    ("a", ["books", 1]),
    ("b", ["games", 2]),
    ("c", ["books", 2]),
    ("d", ["books", 1.0]),
    ("e", [None, 1]),
    ("f", ["games", None]),
]


def test_groups_by_all_attributes_largest_first() -> None:
    found = group(ROWS, ["kind", "size"], hierarchical=False)
    assert [(dict(one.values), list(one.document_ids)) for one in found] == [
        ({"kind": "books", "size": 1}, ["a", "d"]),
        ({"kind": "books", "size": 2}, ["c"]),
        ({"kind": "games", "size": 2}, ["b"]),
        ({"kind": "games", "size": None}, ["f"]),
        ({"kind": None, "size": 1}, ["e"]),
    ]
    assert {(one.level, one.parent) for one in found} == {(0, None)}


def test_hierarchical_groups_have_their_parts_right_after_them() -> None:
    found = group(ROWS, ["kind", "size"], hierarchical=True)
    assert [(one.level, one.parent, list(one.values.values())) for one in found] == [
        (0, None, ["books"]),
        (1, 0, ["books", 1]),
        (1, 0, ["books", 2]),
        (0, None, ["games"]),
        (1, 3, ["games", 2]),
        (1, 3, ["games", None]),
        (0, None, [None]),
        (1, 6, [None, 1]),
    ]
    assert list(found[0].document_ids) == ["a", "c", "d"]
    assert group(ROWS[::-1], ["kind", "size"], hierarchical=True)[0].values == {"kind": "books"}


def test_values_are_told_apart_as_json_has_them() -> None:
    values: list[JsonValue] = [1, True, "1", [1, 2], [2, 1], {"a": 1, "b": 2}, {"b": 2, "a": 1.0}]
    rows = [(str(place), [value]) for place, value in enumerate(values)]
    found = group(rows, ["value"], hierarchical=False)
    assert list(found[0].document_ids) == ["5", "6"]
    assert len(found) == 6
    assert group([], ["value"], hierarchical=True) == []


def test_too_many_groups_are_refused() -> None:
    rows = [(str(number), [number]) for number in range(MAX_GROUPS + 1)]
    assert len(group(rows[:-1], ["number"], hierarchical=False)) == MAX_GROUPS
    with pytest.raises(PermanentError, match="the values of number make more than 10,000 groups"):
        group(rows, ["number"], hierarchical=False)


def test_values_too_long_for_one_answer_are_refused() -> None:
    rows = [(str(number), [str(number) * 100_000]) for number in range(10, 31)]
    assert len(group(rows[:19], ["text"], hierarchical=False)) == 19
    with pytest.raises(PermanentError, match="have more than 4,000,000 characters together"):
        group(rows, ["text"], hierarchical=False)
