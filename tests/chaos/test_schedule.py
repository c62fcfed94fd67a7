"""The schedule is repeatable, within its bounds, and has something of everything."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.fault import FaultKind
from tests.chaos.schedule import GAP_S, HABITS, REST_S, schedule

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.floats(0.1, 10))
def test_the_same_seed_gives_the_same_faults(seed: int, minutes: float) -> None:
    first = schedule(seed, minutes=minutes, lease_s=5)
    assert first == schedule(seed, minutes=minutes, lease_s=5)


@given(SEEDS)
def test_a_longer_run_begins_as_the_shorter_one(seed: int) -> None:
    short = schedule(seed, minutes=1, lease_s=5)
    assert schedule(seed, minutes=3, lease_s=5)[: len(short)] == short


def test_other_seeds_give_other_faults() -> None:
    assert schedule(1, minutes=1, lease_s=5) != schedule(2, minutes=1, lease_s=5)


@given(SEEDS, st.floats(1, 30))
def test_every_fault_is_within_its_bounds(seed: int, lease_s: float) -> None:
    for fault in schedule(seed, minutes=2, lease_s=lease_s):
        habit = HABITS[fault.kind]
        most_s = habit.most_s + habit.leases * lease_s
        assert 0 <= fault.at_s < 120
        assert habit.least_s - 0.001 <= fault.duration_s <= most_s + 0.001


@given(SEEDS)
def test_a_fault_comes_every_second_or_so(seed: int) -> None:
    times = [fault.at_s for fault in schedule(seed, minutes=2, lease_s=5)]
    gaps = [after - before for before, after in pairwise([0.0, *times, 120.0])]
    assert min(gaps[:-1]) >= GAP_S[0] - 0.002
    assert max(gaps) <= GAP_S[1] + 0.002


@given(SEEDS)
def test_who_was_hit_is_left_to_recover(seed: int) -> None:
    last_s: dict[str, float] = {}
    for fault in schedule(seed, minutes=5, lease_s=5):
        whom = fault.kind.whom
        if whom in last_s:
            assert fault.at_s - last_s[whom] >= REST_S.get(whom, 0.0) - 0.002
        last_s[whom] = fault.at_s


def test_every_kind_has_a_habit_and_comes_in_a_long_run() -> None:
    assert set(HABITS) == set(FaultKind)
    seen = {fault.kind for fault in schedule(7, minutes=60, lease_s=5)}
    assert seen == set(FaultKind)
