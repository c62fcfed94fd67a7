"""TTLSet: what it remembers, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tracking.ttl_set import DEFAULT_TTL_S, TTLSet


class Clock:
    """Seconds that move when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_ids_are_kept_for_ten_minutes_unless_said_otherwise() -> None:
    clock = Clock()
    ids = TTLSet(clock=clock)
    ids.add("a")
    clock.now_s = DEFAULT_TTL_S - 1
    assert "a" in ids
    clock.now_s = DEFAULT_TTL_S
    assert "a" not in ids
    assert DEFAULT_TTL_S == 600


def test_an_id_that_is_added_again_has_its_whole_time_again() -> None:
    clock = Clock()
    ids = TTLSet(10, clock=clock)
    ids.add("a")
    clock.now_s = 9
    ids.add("a")
    clock.now_s = 18
    assert list(ids) == ["a"]
    clock.now_s = 19
    assert list(ids) == []


def test_an_id_leaves_when_it_is_discarded() -> None:
    ids = TTLSet()
    ids.add("a")
    ids.discard("a")
    ids.discard("never added")
    assert len(ids) == 0


def test_the_oldest_leave_when_there_are_too_many() -> None:
    ids = TTLSet(max_size=2, clock=Clock())
    for each in ("a", "b", "a", "c"):
        ids.add(each)
    assert sorted(ids) == ["a", "c"]


@pytest.mark.parametrize("ttl_s", [0, -1])
def test_a_life_takes_time(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        TTLSet(ttl_s)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=30))
def test_it_holds_what_was_added_within_the_time(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    ids, added_at_s = TTLSet(10, clock=clock), dict[str, float]()
    for item, pause_s in steps:
        clock.now_s += pause_s
        ids.add(item)
        added_at_s[item] = clock.now_s
    alive = {item for item, at_s in added_at_s.items() if clock.now_s - at_s < 10}
    ids.cleanup()
    assert set(ids) == alive
    assert len(ids) == len(alive)
    assert all((item in ids) is (item in alive) for item in "abc")
