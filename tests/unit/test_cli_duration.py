"""Times, filters and orders as people type them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.cli import duration, selection

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("90s", 90), ("2h", 7_200), ("1d12h", 129_600), ("1.5m", 90), ("30", 30), (" 1W ", 604_800)],
)
def test_a_duration_is_read(text: str, expected_s: float) -> None:
    assert duration.seconds(text) == expected_s


@pytest.mark.parametrize("text", ["", "h", "2 h", "-1h", "2hours", "1e3s", "99999999w"])
def test_what_is_no_duration_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration.seconds(text)


@given(st.floats(min_value=0, max_value=10**9))
def test_a_length_is_shown_in_its_largest_unit(length_s: float) -> None:
    number, unit = duration.shown(length_s).split()
    unit_s = {"s": 1, "min": 60, "h": 3_600, "days": 86_400}[unit]
    assert int(number) * unit_s <= length_s < (int(number) + 1) * unit_s
    assert int(number) >= 2 or unit == "s"


def test_a_moment_is_a_duration_ago_or_a_time() -> None:
    assert duration.moment("2h", NOW) == NOW - timedelta(hours=2)
    assert duration.moment("2026-01-31T12:00+02:00", NOW) == NOW - timedelta(hours=2)
    with pytest.raises(ValueError, match="a time such as"):
        duration.moment("yesterday", NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attempt>=2", ("attempt", "gte", 2)),
        ("task_type = thumbnails_make", ("task_type", "eq", "thumbnails_make")),
        ("metadata.shop!=null", ("metadata.shop", "ne", None)),
        ('name="12"', ("name", "eq", "12")),
        ("error_message~not found = bad", ("error_message", "contains", "not found = bad")),
        ("price<1.5", ("price", "lt", 1.5)),
        ("sku=", ("sku", "eq", "")),
        ("tags=[1]", ("tags", "eq", "[1]")),
    ],
)
def test_a_filter_is_field_operator_value(text: str, expected: tuple[str, str, object]) -> None:
    field, operator, value = expected
    assert selection.condition(text) == {"field": field, "operator": operator, "value": value}


@pytest.mark.parametrize("text", ["", "status", "=x", "a b=c"])
def test_what_is_no_filter_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="field=value"):
        selection.condition(text)


def test_since_and_until_are_conditions_on_the_time_of_creation() -> None:
    assert selection.filters([], now=NOW) is None
    asked = selection.filters(["a=1"], since="2h", until="2026-02-01T00:00Z", now=NOW)
    assert asked == {
        "AND": [
            {"field": "a", "operator": "eq", "value": 1},
            {"field": "created_at", "operator": "gte", "value": "2026-01-31T10:00:00.000Z"},
            {"field": "created_at", "operator": "lte", "value": "2026-02-01T00:00:00.000Z"},
        ]
    }


def test_an_order_descends_unless_it_says_otherwise() -> None:
    assert selection.sort(None) is None
    assert selection.sort("created_at") == {"field": "created_at", "direction": "desc"}
    assert selection.sort("ended_at:asc") == {"field": "ended_at", "direction": "asc"}
    with pytest.raises(ValueError, match="field:asc"):
        selection.sort("created_at:up")
