"""docs/scaling.md shows what it says was measured, and the simulation repeats itself."""

import pytest

from bench.cost import Costs, Step
from bench.meter import CHILDREN, CLIENT, PARENT
from bench.scaling import PAGE, cost_table, limit_table, recorded, section, size_table
from bench.simulation.cluster import ask, size
from bench.simulation.point import simulate

ROLES = (CLIENT, PARENT, CHILDREN, "api", "mongo", "redis", "flower", "webhook", "postgres")
CHILD_MS = 10.0


def test_the_tables_are_made_of_what_was_measured() -> None:
    text = PAGE.read_text()
    record = recorded(text)
    assert section(text, "costs") == cost_table(record)
    assert section(text, "limits") == limit_table(record)
    assert section(text, "sizes") == size_table(record)


def costs(**run_ms: float) -> Costs:
    """A task whose submit costs the API 1 ms, and whose run what is named, by role, besides its
    child's.
    """
    nothing = Step(dict.fromkeys(ROLES, 0.0), {})
    submit = Step({**nothing.cpu_ms, "api": 1.0}, {})
    run = Step(dict.fromkeys(ROLES, 0.0) | {CHILDREN: CHILD_MS} | run_ms, {})
    sizes = {"disk_bytes": 200.0, "index_bytes": 800.0}
    return Costs(submit, submit, run, nothing, sizes, commit_wait_ms=0.0)


@pytest.mark.parametrize(("slots", "cores"), [(1, 1), (2, 2), (4, 2), (2, 4)])
def test_slots_and_cores_bound_the_rate(slots: int, cores: int) -> None:
    found = simulate(costs(), slots=[slots], cores=cores)
    assert found.drained[slots] == pytest.approx(min(slots, cores) * 1000 / CHILD_MS, rel=0.03)


def test_a_part_of_a_core_makes_all_slower() -> None:
    found = simulate(costs(), slots=[4], cores=1.5)
    assert found.drained[4] == pytest.approx(1.5 * 1000 / CHILD_MS, rel=0.03)


def test_a_seed_repeats_itself() -> None:
    many = costs(mongo=2.0, redis=0.5)
    assert simulate(many, slots=[2], cores=2) == simulate(many, slots=[2], cores=2)


def test_a_cluster_keeps_up_with_the_rate_it_was_sized_for() -> None:
    many = costs(mongo=2.0, redis=0.5)
    found = size(many, 1_000)
    answer = ask(many, found, tasks=2_000)
    assert answer.kept_up == pytest.approx(1, abs=0.1)
    # 0.6 of eight cores a shard: one shard does 2,400 tasks of 2 ms a second.
    assert found.mongo_shards == 1
    assert answer.busy["MongoDB"] == pytest.approx(1_000 * 0.002 / 8, rel=0.15)
