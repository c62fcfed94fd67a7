"""The simulation's stations against the closed forms of queueing theory, and its ends."""

import random
import statistics
from collections.abc import Callable

import pytest
from simpy import Environment

from bench.simulation.station import Host, Journal, Program, Steps

CUSTOMERS = 20_000


def mean_time_ms(
    env: Environment, serve: Callable[[], Steps], *, apart_ms: float, rng: random.Random
) -> float:
    """How long customers stay who come at random moments."""
    stays_ms: list[float] = []

    def stay() -> Steps:
        came_ms = env.now
        yield from serve()
        stays_ms.append(env.now - came_ms)

    def arrive() -> Steps:
        for _ in range(CUSTOMERS):
            yield env.timeout(rng.expovariate(1 / apart_ms))
            env.process(stay())

    env.process(arrive())
    env.run()
    assert len(stays_ms) == CUSTOMERS
    return statistics.mean(stays_ms)


def test_one_core_with_random_bursts_is_an_m_m_1() -> None:
    env, rng = Environment(), random.Random(1)
    host = Host(env, 1)
    found_ms = mean_time_ms(env, lambda: host.serve(rng.expovariate(1)), apart_ms=2, rng=rng)
    assert found_ms == pytest.approx(1 / (1 - 0.5), rel=0.05)
    assert host.utilization == pytest.approx(0.5, rel=0.05)


def test_one_core_with_equal_bursts_is_an_m_d_1() -> None:
    env, rng = Environment(), random.Random(2)
    host = Host(env, 1)
    found_ms = mean_time_ms(env, lambda: host.serve(1.0), apart_ms=2, rng=rng)
    assert found_ms == pytest.approx(1 + 0.5 / (2 * (1 - 0.5)), rel=0.05)


def test_two_cores_with_random_bursts_are_an_m_m_2() -> None:
    env, rng = Environment(), random.Random(3)
    host = Host(env, 2)
    found_ms = mean_time_ms(env, lambda: host.serve(rng.expovariate(1)), apart_ms=1, rng=rng)
    # Erlang's C at half load is a third; the wait after it is as long as one core's.
    assert found_ms == pytest.approx(1 + (1 / 3) / (2 - 1), rel=0.05)


def test_a_program_does_one_thing_at_a_time_on_however_many_cores() -> None:
    env, rng = Environment(), random.Random(4)
    program = Program(Host(env, 8))
    found_ms = mean_time_ms(env, lambda: program.serve(rng.expovariate(1)), apart_ms=2, rng=rng)
    assert found_ms == pytest.approx(2, rel=0.05)


def test_a_journal_that_never_rests_takes_one_flush_and_a_half() -> None:
    env, rng = Environment(), random.Random(5)
    journal = Journal(env, 1.0)
    found_ms = mean_time_ms(env, journal.commit, apart_ms=0.05, rng=rng)
    assert found_ms == pytest.approx(1.5, rel=0.02)


def test_a_journal_that_rests_takes_one_flush() -> None:
    env, rng = Environment(), random.Random(6)
    journal = Journal(env, 1.0)
    assert mean_time_ms(env, journal.commit, apart_ms=1_000, rng=rng) == pytest.approx(1, rel=0.01)
