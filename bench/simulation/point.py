"""The points that were measured on one machine, and the same asked of the simulation."""

import math
import random
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from simpy import Environment

from bench.cost import Costs
from bench.simulation.demand import Demand
from bench.simulation.station import Host, Journal, Program
from bench.simulation.system import Node, Places, Shard, System

TASKS: Final = 2_000
CALLS: Final = 5
CALL: Final = 1_000
STARTS: Final = 200
APART_MS: Final = 1_000.0  # of submits to an idle system
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Points:
    """No-op jobs drained a second by number of slots, submissions a second in calls of a thousand
    while the workers are held still, and the median from a submit to its start on an idle system.
    """

    drained: Mapping[int, float]
    submitted: float
    start_ms: float


def simulate(costs: Costs, *, slots: Iterable[int], cores: float) -> Points:
    """The points on a machine with so many cores, a part of one too, which all processes share."""
    return Points(
        {each: _drained(costs, slots=each, cores=cores) for each in slots},
        _submitted(costs, cores=cores),
        _start_ms(costs, cores=cores),
    )


def _drained(costs: Costs, *, slots: int, cores: float) -> float:
    system = _machine(Demand.of(costs, in_bulk=True), slots=slots, cores=cores)
    system.fill(TASKS)
    system.open_slots()
    system.env.run()
    return 1000 * TASKS / system.ended_at_ms[-1]


def _submitted(costs: Costs, *, cores: float) -> float:
    system = _machine(Demand.of(costs, in_bulk=True), slots=1, cores=cores)
    for _ in range(CALLS):
        system.env.run(system.env.process(system.submit(CALL)))
    return 1000 * CALLS * CALL / system.env.now


def _start_ms(costs: Costs, *, cores: float) -> float:
    system = _machine(Demand.of(costs, in_bulk=False), slots=2, cores=cores)
    system.open_slots()
    for number in range(STARTS):
        system.env.process(system.submit())
        system.env.run(until=(number + 1) * APART_MS)
    return statistics.median(system.started_after_ms)


def _machine(demand: Demand, *, slots: int, cores: float) -> System:
    """One of each, as `waybill up` has it, on one host."""
    env = Environment()
    host = Host(env, math.ceil(cores), speed=cores / math.ceil(cores))
    journal = Journal(env, demand.commit)
    places = Places(
        client=Program(host),
        apis=[Program(host)],
        shards=[Shard(host, journal)],
        brokers=[Program(host)],
        nodes=[Node(Program(host), host, slots)],
        aside=host,
    )
    return System(env, demand, places, random.Random(SEED))
