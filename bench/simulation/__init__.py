"""A discrete-event simulation of the product, held against measured points before it is asked.

`rows()` measures what a task costs on a stack with two slots, and the points on stacks with one,
two and four: no-op jobs drained a second, submissions a second in calls of a thousand, and the
time from a submit to its start. The simulation knows the costs and the number of cores, no point,
and is to come within a fifth of each. Only then it is asked for clusters.

The cores are those that the machine gave: what others used meanwhile, or the host kept back, is
taken off.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import cost, load
from bench.cost import Costs
from bench.job import MODULE
from bench.meter import Meter, held_still
from bench.row import Row, figure, noted
from bench.simulation.cluster import RATES, ask, size
from bench.simulation.point import Points, simulate
from bench.sink import Sink, running_sink
from bench.stack import ROOT
from tests.stack import running_stack
from waybill import Client

SLOTS: Final = (1, 2, 4)
COSTS_AT: Final = 2  # slots
TASKS: Final = 2_000
PASSES: Final = 3  # of which the median counts
STARTS: Final = 50
WITHIN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen of a machine, and how many of its cores were there to be used."""

    costs: Costs
    points: Points
    cores: float


def rows(tasks: int = TASKS) -> list[Row]:
    """Simulated beside measured, and what the simulation says of clusters."""
    measured = measure(tasks)
    found = simulate(measured.costs, slots=SLOTS, cores=measured.cores)
    return [*compared(found, measured.points), *_clusters(measured.costs)]


def measure(tasks: int) -> Measured:
    """Costs and points, on stacks of their own."""
    drained: dict[int, float] = {}
    cores: list[float] = []
    with running_sink() as sink:
        for slots in SLOTS:
            with _stack(sink, slots) as (client, meter):
                load.warm_up(client, meter)
                before = meter.read()
                drained[slots] = _median(lambda: load.drain_rate(client, meter, tasks))
                cores.append(meter.read().since(before).cores)
                if slots == COSTS_AT:
                    submitted = _median(lambda: _submit_rate(client, meter, tasks))
                    start_ms = load.start_latency_ms(client, meter, STARTS)
                    costs = cost.measure(client, meter, sink, tasks)
    return Measured(costs, Points(drained, submitted, start_ms), statistics.mean(cores))


def compared(found: Points, measured: Points) -> list[Row]:
    """A line for each point; within a fifth is reached."""
    lines = [
        _beside(f"no-op jobs a second, slots: {slots}", found.drained[slots], rate)
        for slots, rate in measured.drained.items()
    ]
    lines.append(_beside("submissions a second, bulk", found.submitted, measured.submitted))
    lines.append(_beside("submit to start, ms", found.start_ms, measured.start_ms))
    return lines


def _beside(what: str, found: float, measured: float) -> Row:
    ratio = found / measured
    return Row(
        f"simulation: {what}",
        ours=figure(found),
        reference=f"{figure(measured)}: measured",
        ratio=f"{ratio:.2f}",
        reach=f"within {WITHIN:.0%}",
        is_reached=abs(ratio - 1) <= WITHIN,
    )


def _clusters(costs: Costs) -> list[Row]:
    lines = []
    for rate in RATES:
        found = size(costs, rate)
        answer = ask(costs, found)
        text = (
            f"{found.api_processes:,} API processes, {found.slots:,} slots on {found.nodes:,}"
            f" workers, {found.mongo_shards:,} MongoDB shards, {found.redis_servers:,} Redis:"
            f" keeps up with {answer.kept_up:.0%}, starts after {figure(answer.p50_ms)} ms (p50)"
        )
        lines.append(noted(f"simulation: {rate:,} jobs a second", text))
    return lines


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(PASSES))


def _submit_rate(client: Client, meter: Meter, tasks: int) -> float:
    """While the workers are held still: what they would take of the cores is another point."""
    with held_still(meter.stack.pid("worker")):
        begin_s = time.perf_counter()
        load.submit(client, tasks)
        rate = tasks / (time.perf_counter() - begin_s)
    load.settle(meter)
    return rate


@contextmanager
def _stack(sink: Sink, slots: int) -> Iterator[tuple[Client, Meter]]:
    env = {"WAYBILL_IMPORTS": MODULE, "PYTHONPATH": str(ROOT), **cost.environment(sink)}
    with (
        tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder,
        running_stack(Path(folder) / "data", workers=slots, env=env) as stack,
        Client(stack.api_url, stack.api_key) as client,
        Meter.over(stack) as meter,
    ):
        yield client, meter
