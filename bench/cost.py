"""What one task costs: CPU by process, MongoDB's and Redis's commands and bytes, disk.

A job that does nothing, on a stack of its own under the defaults, from the processes' and the
servers' own counters, less what an idle stack uses in the same time. While its workers are held
still (SIGSTOP), the tasks are submitted, a thousand a call and then one a call; then the workers
go on and drain the queue. The same again under a webhook for ended tasks gives what a delivery
costs. CPU is what the system charged to a process: it does not hold its waits, and on a machine
whose clock or neighbours change it changes with them.

`python -m bench cost` prints the rows.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pymongo import MongoClient

from app.database import MAJORITY, Document
from app.embedded.port import LOOPBACK
from bench import load
from bench.job import MODULE
from bench.meter import CLIENT, MONGO, REDIS, RUNS, SIZES, Meter, Usage, held_still
from bench.row import Row, figure, noted
from bench.sink import Sink, running_sink
from bench.stack import bench_stack
from tests.polling import poll
from waybill import Client

TASKS: Final = 5_000
SINGLES: Final = 300
IDLE_S: Final = 10.0
COMMITS: Final = 300
LEAST_MS: Final = 0.01  # of a role that is told by name


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a task's life: CPU in ms by role, and by name what servers count; a task each."""

    cpu_ms: Mapping[str, float]
    traffic: Mapping[str, float]

    @classmethod
    def of(cls, usage: Usage, tasks: int) -> "Step":
        """The mean over so many tasks."""
        traffic = {name: usage.amounts[name] / tasks for name in (*MONGO, *REDIS)}
        return cls(usage.cpu_ms(tasks), traffic)

    def less(self, other: "Step") -> "Step":
        """What this costs more than the other."""
        return Step(_less(self.cpu_ms, other.cpu_ms), _less(self.traffic, other.traffic))

    @property
    def total_ms(self) -> float:
        """CPU of all processes but the caller's."""
        return sum(self.cpu_ms.values()) - self.cpu_ms.get(CLIENT, 0.0)


@dataclass(frozen=True, slots=True)
class Costs:
    """All that is measured of a task; `sizes` in bytes on disk, a task or a run each.

    `commit_wait_ms` is what a write acknowledged by the majority takes, less all CPU.
    """

    single: Step
    bulk: Step
    run: Step
    webhook: Step
    sizes: Mapping[str, float]
    commit_wait_ms: float

    @property
    def steps(self) -> dict[str, Step]:
        """The parts by what they are called."""
        return {
            "submit, one a call": self.single,
            "submit, 1,000 a call": self.bulk,
            "claim to finish": self.run,
            "one webhook": self.webhook,
        }


def rows(tasks: int = TASKS) -> list[Row]:
    """The costs, told and not judged."""
    with running_sink() as sink, bench_stack(imports=MODULE, env=environment(sink)) as both:
        stack, client = both
        with Meter.over(stack) as meter:
            load.warm_up(client, meter)
            return told(measure(client, meter, sink, tasks))


def environment(sink: Sink) -> dict[str, str]:
    """Settings that let webhooks reach the sink."""
    return {
        "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": f"{LOOPBACK}/32",
        "WAYBILL_WEBHOOK_ALLOWED_PORTS": str(sink.port),
    }


def measure(client: Client, meter: Meter, sink: Sink, tasks: int) -> Costs:
    """The costs over so many tasks, twice, on a stack that is warm; it has a webhook afterwards."""
    idle = _idle(meter)
    commit_wait_ms = _commit_wait_ms(meter)
    before = meter.sizes()
    with held_still(meter.stack.pid("worker")):
        bulk = _used(meter, idle, lambda: load.submit(client, tasks), tasks)
        single = _used(meter, idle, lambda: _submit_singly(client), SINGLES)
    run = _used(meter, idle, lambda: load.settle(meter), tasks + SINGLES)
    sizes = _sizes(meter.sizes().since(before))
    client.webhooks.create("cost", sink.url("/fine/cost"), ["task.completed"])
    with held_still(meter.stack.pid("worker")):
        load.submit(client, tasks)
    told_of = _used(meter, idle, lambda: _deliver(meter, sink, tasks), tasks)
    return Costs(single, bulk, run, told_of.less(run), sizes, commit_wait_ms)


def told(costs: Costs) -> list[Row]:
    """The costs as lines."""
    lines = []
    for name, step in costs.steps.items():
        parts = sorted(step.cpu_ms.items(), key=lambda part: -part[1])
        cpu = ", ".join(f"{role} {figure(ms)}" for role, ms in parts if ms >= LEAST_MS)
        lines.append(noted(f"{name}: CPU ms", f"{figure(step.total_ms)} without the client: {cpu}"))
        lines.append(noted(f"{name}: traffic", _traffic(step.traffic)))
    sizes = ", ".join(f"{name} {figure(size)}" for name, size in costs.sizes.items())
    lines.append(noted("kept on disk, bytes a task", sizes))
    lines.append(noted("one acknowledged write, less CPU", f"{figure(costs.commit_wait_ms)} ms"))
    return lines


def _traffic(traffic: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {figure(each)}" for name, each in traffic.items())


def _idle(meter: Meter) -> Usage:
    before = meter.read()
    time.sleep(IDLE_S)
    return meter.read().since(before)


def _used(meter: Meter, idle: Usage, work: Callable[[], None], tasks: int) -> Step:
    before = meter.read()
    work()
    return Step.of(meter.read().since(before).less(idle), tasks)


def _submit_singly(client: Client) -> None:
    for _ in range(SINGLES):
        load.submit(client, 1)


def _deliver(meter: Meter, sink: Sink, tasks: int) -> None:
    """Returns once the queue is drained and the sink has got as many events."""
    arrived: set[str] = set()
    load.settle(meter)

    def is_done() -> bool:
        arrived.update(event_id for _, event_id in sink.counts())
        return len(arrived) >= tasks

    poll(is_done, description=f"{tasks} events arrive", within_s=load.ENDED_WITHIN_S)


def _commit_wait_ms(meter: Meter) -> float:
    """What one write waits until the majority's journals have it: its time, less all CPU."""
    client: MongoClient[Document] = meter.mongo
    target = client["bench_commits"].get_collection("commits", write_concern=MAJORITY)
    target.insert_one({})
    before = meter.read()
    for _ in range(COMMITS):
        target.insert_one({})
    usage = meter.read().since(before)
    client.drop_database("bench_commits")
    busy = usage.cpu_ms(COMMITS)
    return max(0.0, 1000 * usage.seconds / COMMITS - busy[CLIENT] - busy["mongo"])


def _sizes(usage: Usage) -> dict[str, float]:
    """Of one receipt, and of one run."""
    amounts = usage.amounts
    receipts = {name: amounts[name] / amounts["receipts"] for name in SIZES[1:]}
    return receipts | {name: amounts[name] / amounts["runs"] for name in RUNS[1:]}


def _less(ours: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(0.0, amount - other.get(name, 0.0)) for name, amount in ours.items()}
