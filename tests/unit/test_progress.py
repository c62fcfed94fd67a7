"""Rates and estimates: never negative, never absurd, close on a steady run."""

import json
import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from app.receipts.progress import Progress, advance, begin

START = datetime(2026, 1, 1, tzinfo=UTC)

SAMPLE = st.tuples(
    st.integers(0, 10**9),  # done
    st.none() | st.integers(0, 10**9),  # total
    st.integers(0, 100),  # errors
    st.integers(-5_000, 10**8),  # milliseconds since the sample before; clocks do step back
)


def run(samples: list[tuple[int, int | None, int, int]]) -> list[Progress]:
    at, before = START, begin(None, START)
    made = []
    for done, total, errors, after_ms in samples:
        at += timedelta(milliseconds=after_ms)
        before = advance(before, done=done, total=total, errors=errors, at=at)
        made.append(before)
    return made


@given(st.lists(SAMPLE, max_size=30))
def test_rate_and_estimate_are_never_negative_and_always_numbers(
    samples: list[tuple[int, int | None, int, int]],
) -> None:
    for progress in run(samples):
        for value in (progress.rate, progress.eta_seconds):
            assert value is None or (math.isfinite(value) and value >= 0)


@given(st.lists(SAMPLE, min_size=1, max_size=30))
def test_what_was_reported_is_what_is_kept(
    samples: list[tuple[int, int | None, int, int]],
) -> None:
    last = run(samples)[-1]
    assert (last.done, last.total, last.errors) == samples[-1][:3]


@given(st.lists(SAMPLE, max_size=10))
@example([(11, 10, 0, 1000)])  # a job that counted wrongly
def test_a_percentage_is_one(samples: list[tuple[int, int | None, int, int]]) -> None:
    for progress in run(samples):
        if progress.total is None:
            assert progress.percent is None
        else:
            assert progress.percent is not None
            assert 0 <= progress.percent <= 100


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_first_sample_has_no_rate(done: int, total: int) -> None:
    first = advance(None, done=done, total=total, errors=0, at=START)
    assert first.rate is None
    assert first.eta_seconds == (0 if done >= total else None)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.001, 1e6))
def test_a_sample_that_goes_back_has_no_rate(done: int, lost: int, after_s: float) -> None:
    before = Progress(done + lost, 10**7, 0, 5.0, 1.0, START, START)
    at = START + timedelta(seconds=after_s)
    after = advance(before, done=done, total=10**7, errors=0, at=at)
    assert after.rate is None
    assert after.eta_seconds is None


def test_nothing_done_yet_promises_nothing() -> None:
    start = begin(100, START)
    assert (start.done, start.rate, start.eta_seconds, start.percent) == (0, None, None, 0.0)
    idle = advance(start, done=0, total=100, errors=0, at=START + timedelta(seconds=5))
    assert (idle.rate, idle.eta_seconds) == (None, None)


def test_nothing_to_do_is_all_done() -> None:
    progress = advance(begin(0, START), done=0, total=0, errors=0, at=START)
    assert progress.percent == 100.0
    assert progress.eta_seconds == 0.0


def test_without_a_total_there_is_a_rate_but_no_estimate() -> None:
    at = START + timedelta(seconds=2)
    progress = advance(begin(None, START), done=10, total=None, errors=0, at=at)
    assert progress.rate == 5.0
    assert progress.eta_seconds is None
    assert progress.percent is None


@given(
    seed=st.integers(0, 2**32),
    rate=st.floats(0.2, 10_000),
    interval_s=st.floats(0.5, 10),
    jitter=st.floats(0, 0.3),
)
def test_on_a_steady_run_the_estimate_is_within_a_factor_of_two(
    seed: int, rate: float, interval_s: float, jitter: float
) -> None:
    rng = random.Random(seed)
    total = math.ceil(rate * 600)
    done, elapsed_s, progress = 0.0, 0.0, begin(total, START)
    while done < total * 0.98:
        step_s = interval_s * rng.uniform(1 - jitter, 1 + jitter)
        done += rate * step_s * rng.uniform(1 - jitter, 1 + jitter)
        elapsed_s += step_s
        whole = min(int(done), total)
        at = START + timedelta(seconds=elapsed_s)
        progress = advance(progress, done=whole, total=total, errors=0, at=at)
        remaining_s = (total - whole) / rate
        # Before a minute has passed a slow run has counted too few units to be judged.
        if elapsed_s > 60 and remaining_s > 5:
            assert progress.eta_seconds is not None
            assert remaining_s / 2 <= progress.eta_seconds <= remaining_s * 2


@given(st.floats(1, 1000), st.floats(1.5, 20))
def test_an_estimate_follows_a_change_of_speed_within_a_minute(rate: float, factor: float) -> None:
    total = 10**8
    done, elapsed_s, progress = 0.0, 0.0, begin(total, START)
    for second in range(180):
        elapsed_s += 1
        done += rate if second < 120 else rate * factor
        at = START + timedelta(seconds=elapsed_s)
        progress = advance(progress, done=int(done), total=total, errors=0, at=at)
    assert progress.rate is not None
    assert rate * factor * 0.8 <= progress.rate <= rate * factor * 1.2


def test_a_run_that_stalls_for_a_day_never_promises_what_is_no_number() -> None:
    """A parent whose one last child hangs reports the same sum every second."""
    progress = begin(1000, START)
    for second in range(1, 86_400):
        done = min(second * 100, 900)
        at = START + timedelta(seconds=second)
        progress = advance(progress, done=done, total=1000, errors=0, at=at)
        if progress.eta_seconds is not None and not math.isfinite(progress.eta_seconds):
            raise AssertionError(f"after {second} s the estimate is {progress.eta_seconds}")
    json.dumps([progress.rate, progress.eta_seconds], allow_nan=False)


@given(st.floats(0, 1000), st.integers(0, 100), st.integers(-10_000, 0))
def test_a_clock_that_steps_back_changes_no_rate(rate: float, more: int, after_ms: int) -> None:
    before = replace(begin(10**6, START), done=10, rate=rate)
    at = START + timedelta(milliseconds=after_ms)
    assert advance(before, done=10 + more, total=10**6, errors=0, at=at).rate == rate
