"""The resident size of each process over an hour's load: 100,000 tasks, submitted and read.

An hour of 28 tasks a second goes through as fast as it may. Nine of ten tasks do nothing, the
tenth fails and is told to a webhook. With each thousand, receipts are read one by one and listed.
After each tenth of the load, with nothing to do, the sizes are read: of a worker's children the
largest. Flat means that over the second half a process grows by 5 MiB at most, or by 3 %, whatever
is more. The servers keep receipts, copies and rows for their retention, so theirs are only told.

`python -m bench.memory 20000` prints the same over fewer tasks.
"""

import sys
from contextlib import suppress
from typing import Final

import psutil

from bench import load
from bench.cost import environment
from bench.job import BROKEN, MODULE, NOTHING
from bench.meter import CHILDREN, PARENT, Meter
from bench.row import Row, figure
from bench.sink import running_sink
from bench.stack import bench_stack
from waybill import Client

TASKS: Final = 100_000
POINTS: Final = 10
CALL: Final = 1_000
FAILING: Final = 100  # of a call
READ: Final = 20  # receipts a call, one by one
PAGE: Final = 100
GROWTH_MIB: Final = 5.0
GROWTH: Final = 0.03
SERVERS: Final = frozenset({"mongo", "redis", "postgres"})
MIB: Final = 1024 * 1024

Sizes = dict[str, float]


def rows(tasks: int = TASKS) -> list[Row]:
    """A line for each kind of process: its sizes, and whether they stay."""
    with running_sink() as sink, bench_stack(imports=MODULE, env=environment(sink)) as both:
        stack, client = both
        client.webhooks.create("failures", sink.url("/fine/memory"), ["task.failed"])
        with Meter.over(stack) as meter:
            load.warm_up(client, meter)
            series = [_sizes(meter)]
            for _ in range(POINTS):
                for _ in range(max(1, tasks // POINTS // CALL)):
                    _load(client)
                load.settle(meter)
                sink.counts()
                series.append(_sizes(meter))
    return [_row(role, [sizes[role] for sizes in series]) for role in sorted(series[0])]


def _load(client: Client) -> None:
    """A thousand tasks, and reads of some."""
    kinds = [BROKEN] * FAILING + [NOTHING] * (CALL - FAILING)
    answer = client.tasks.submit_many([{"task_type": kind, "inputs": []} for kind in kinds])
    assert answer["failed"] == [], answer["failed"][:1]
    for task in answer["succeeded"][:READ]:
        client.tasks.get(task["task_id"])
    client.tasks.page(page_size=PAGE)
    client.tasks.page(status="FAILED", page_size=PAGE)


def _sizes(meter: Meter) -> Sizes:
    sizes: Sizes = {}
    for role, pid in meter.stack.pids().items():
        process = psutil.Process(pid)
        own, children = _resident_mib(process), process.children(recursive=True)
        largest = max((_resident_mib(child) for child in children), default=0.0)
        if role == "worker":
            sizes |= {PARENT: own, CHILDREN: largest}
        else:
            sizes[role] = max(own, largest)
    return sizes


def _resident_mib(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss / MIB)
    return 0.0


def _row(role: str, series: list[float]) -> Row:
    shown = " → ".join(figure(mib) for mib in series)
    what = f"resident size, {role}"
    if role in SERVERS:
        return Row(what, f"{shown} MiB")
    middle, last = series[len(series) // 2], series[-1]
    most = max(GROWTH_MIB, GROWTH * middle)
    return Row(
        what,
        f"{shown} MiB",
        ratio=f"{last - middle:+.1f} MiB",
        reach=f"≤ {figure(most)} MiB in the second half",
        is_reached=last - middle <= most,
    )


if __name__ == "__main__":
    for row in rows(*map(int, sys.argv[1:2])):
        print(f"{row.what}: {row.ours} {row.ratio} {row.reach}")
