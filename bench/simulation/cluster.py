"""A cluster for a rate of jobs: its size from the costs, and a simulation of whether it holds.

Nobody has run these: the costs were measured on one small machine. What is assumed beyond them
stands below as constants.
"""

import math
import random
import statistics
from dataclasses import dataclass
from typing import Final

from simpy import Environment

from bench.cost import Costs
from bench.simulation.demand import Demand
from bench.simulation.station import Host, Journal, Program, Steps
from bench.simulation.system import Node, Places, Shard, System

RATES: Final = (1_000, 10_000, 100_000)  # jobs a second
BUSY: Final = 0.6  # of its time, at most, so that queues stay short
MONGO_CORES: Final = 8  # of each shard's primary; that it uses them all alike is assumed
NODE_SLOTS: Final = 16  # worker processes under one parent, at most
NETWORK_MS: Final = 0.5  # one round trip within a data center
REPLICA_MS: Final = 0.5  # until another member has a write, too, beside its journal
ASKED: Final = 10_000  # tasks simulated; the first fifth warms up
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each, for jobs that do nothing; real jobs add their own slots."""

    rate: int
    api_processes: int
    api_processes_in_bulk: int
    nodes: int
    slots: int
    worker_cores: int
    mongo_shards: int
    redis_servers: int
    webhook_cores: int
    stored_gb_a_day: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the simulation says of a size: times from submit to start, and how busy each kind is.

    `kept_up` is the rate at which tasks ended, by the rate at which they came.
    """

    p50_ms: float
    p99_ms: float
    kept_up: float
    busy: dict[str, float]


def size(costs: Costs, rate: int) -> Size:
    """Each kind of place as many times as keeps it below `BUSY`."""
    single, bulk = Demand.of(costs, in_bulk=False), Demand.of(costs, in_bulk=True)
    slots = _count(rate, _slot_ms(single))
    nodes = max(_count(rate, single.parent), math.ceil(slots / NODE_SLOTS))
    return Size(
        rate=rate,
        api_processes=_count(rate, single.api),
        api_processes_in_bulk=_count(rate, bulk.api),
        nodes=nodes,
        slots=max(slots, nodes),
        worker_cores=_count(rate, single.parent + single.child),
        mongo_shards=_count(rate, single.mongo / MONGO_CORES),
        redis_servers=_count(rate, single.redis),
        webhook_cores=_count(rate, costs.webhook.total_ms),
        stored_gb_a_day=rate * 86_400 * stored_bytes(costs) / 1e9,
    )


def stored_bytes(costs: Costs) -> float:
    """What a receipt takes on a shard's disk, with its indexes."""
    return costs.sizes["disk_bytes"] + costs.sizes["index_bytes"]


def limits(costs: Costs) -> dict[str, float]:
    """Jobs a second at which one process or server of each kind has no time left: the lowest
    saturates first where there is one of each.
    """
    single = Demand.of(costs, in_bulk=False)
    parts = {
        "API process, one task a call": single.api,
        "API process, 1,000 tasks a call": Demand.of(costs, in_bulk=True).api,
        "worker slot": _slot_ms(single),
        "worker parent": single.parent,
        f"MongoDB primary with {MONGO_CORES} cores": single.mongo / MONGO_CORES,
        "Redis server": single.redis,
        "Flower": costs.run.cpu_ms["flower"] + costs.single.cpu_ms["flower"],
        "webhook worker, one delivery a task": costs.webhook.cpu_ms["webhook"],
        "PostgreSQL core": costs.run.cpu_ms["postgres"],
    }
    return {name: 1000 / ms for name, ms in parts.items() if ms > 0}


def ask(costs: Costs, found: Size, *, tasks: int = ASKED) -> Answer:
    """Tasks come one a call, at random moments, at the size's rate, until so many have come."""
    env = Environment()
    hosts: dict[str, list[Host]] = {
        "API": [Host(env, 1) for _ in range(found.api_processes)],
        "worker parents": [Host(env, 1) for _ in range(found.nodes)],
        "MongoDB": [Host(env, MONGO_CORES) for _ in range(found.mongo_shards)],
        "Redis": [Host(env, 1) for _ in range(found.redis_servers)],
    }
    demand, rng = Demand.of(costs, in_bulk=False), random.Random(SEED)
    flush_ms = demand.commit + REPLICA_MS
    each = math.ceil(found.slots / found.nodes)
    elsewhere = Host(env, found.rate)  # callers, and those who are not waited for
    places = Places(
        client=elsewhere,
        apis=[Program(host) for host in hosts["API"]],
        shards=[Shard(host, Journal(env, flush_ms)) for host in hosts["MongoDB"]],
        brokers=[Program(host) for host in hosts["Redis"]],
        nodes=[Node(Program(host), Host(env, each), each) for host in hosts["worker parents"]],
        aside=elsewhere,
        network_ms=NETWORK_MS,
    )
    system = System(env, demand, places, rng)
    system.open_slots()
    env.run(env.process(_arrive(system, found.rate, tasks)))
    settled = sorted(system.started_after_ms[tasks // 5 :])
    return Answer(
        p50_ms=statistics.median(settled),
        p99_ms=settled[int(len(settled) * 0.99)],
        kept_up=_kept_up(system, found.rate),
        busy={name: statistics.mean(host.utilization for host in hosts[name]) for name in hosts},
    )


def _arrive(system: System, rate: int, tasks: int) -> Steps:
    for _ in range(tasks):
        yield system.env.timeout(system.rng.expovariate(rate / 1000))
        system.env.process(system.submit())


def _kept_up(system: System, rate: int) -> float:
    """Over the second half of the time, when the first tasks are long through."""
    half_ms = system.env.now / 2
    ended = sum(at_ms > half_ms for at_ms in system.ended_at_ms)
    return ended / (rate * half_ms / 1000)


def _slot_ms(demand: Demand) -> float:
    """How long a task keeps a slot, where nothing waits for others."""
    waits = 2 * (demand.commit + REPLICA_MS) + 2 * NETWORK_MS
    return demand.parent + demand.child + demand.mongo_run + waits


def _count(rate: int, each_ms: float) -> int:
    return max(1, math.ceil(rate * each_ms / 1000 / BUSY))
