"""How long a kill takes to become CANCELED, and a job of a killed worker to run again.

Kills: from the request to the end, by the receipt, which has both from MongoDB's clock. Crashes:
from the SIGKILL of the whole worker, by the clock of this machine, to the next PROCESSING in the
history of each job that it ran.
"""

import os
import signal
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from bench.row import Row, figure, within
from bench.stack import WORKERS, bench_stack
from tests.polling import poll
from tests.stack import Stack
from waybill import Client
from waybill.flow.polling import TERMINAL
from waybill.types import Task

WITHIN_S: Final = 120.0
KILLS: Final = 20
DEAF_KILLS: Final = 3
CRASHES: Final = 3
GRACE_S: Final = 10.0
LEASE_S: Final = 15.0
NEVER: Final = 36_000  # ticks of 0.1 s: longer than any run of this


def rows() -> list[Row]:
    """The worst of some, under the settings' defaults: grace 10 s, lease 15 s."""
    with bench_stack() as (stack, client):
        looking = kill_running(client, "test_slow", times=KILLS)
        deaf = kill_running(client, "test_deaf", times=DEAF_KILLS)
        crashed = crash(client, stack, times=CRASHES)
    return [
        _worst("kill to CANCELED, a job that looks twice a second", looking, reach=1.5),
        _worst("kill to CANCELED, a job that never looks", deaf, reach=GRACE_S + 5),
        _worst("SIGKILL of a worker to its job running again", crashed, reach=LEASE_S + 5),
    ]


def kill_running(client: Client, task_type: str, *, times: int) -> list[float]:
    """Seconds that each kill of a running job of this type took, one at a time."""
    spans = []
    for _ in range(times):
        task = _running(client, task_type, NEVER)
        client.tasks.kill(task["task_id"])
        receipt = _ended(client, task)
        assert receipt["status"] == "CANCELED", receipt
        assert receipt["cancellation"] is not None
        asked_at = _time(receipt["cancellation"]["requested_at"])
        spans.append((_time(str(receipt["ended_at"])) - asked_at).total_seconds())
    return spans


def crash(client: Client, stack: Stack, *, times: int) -> list[float]:
    """Seconds until each job of a worker that was killed as a whole ran again."""
    spans = []
    for _ in range(times):
        tasks = [_running(client, "test_slow", NEVER) for _ in range(WORKERS)]
        os.killpg(stack.pid("worker"), signal.SIGKILL)
        killed_at = datetime.now(UTC)
        for task in tasks:
            again_at = poll(
                partial(_began, client, task, attempt=2),
                description="the job of the killed worker runs again",
                within_s=WITHIN_S,
            )
            spans.append((again_at - killed_at).total_seconds())
        for task in tasks:
            client.tasks.kill(task["task_id"])
            _ended(client, task)
    return spans


def _worst(what: str, seconds: Sequence[float], *, reach: float) -> Row:
    note = f"the worst of {len(seconds)}; median {figure(statistics.median(seconds))} s"
    return within(what, max(seconds), reach=reach, unit="s", note=note)


def _running(client: Client, task_type: str, ticks: int) -> Task:
    task = client.tasks.submit(task_type, [ticks])
    poll(
        lambda: client.tasks.get(task["task_id"])["status"] == "PROCESSING",
        description=f"{task_type} runs",
        within_s=WITHIN_S,
    )
    return task


def _ended(client: Client, task: Task) -> Task:
    return poll(
        lambda: (found := client.tasks.get(task["task_id"]))["status"] in TERMINAL and found,
        description="the task has ended",
        within_s=WITHIN_S,
    )


def _began(client: Client, task: Task, *, attempt: int) -> datetime | None:
    for entry in client.tasks.history(task["task_id"]):
        if (entry["to"], entry["attempt"]) == ("PROCESSING", attempt):
            return _time(entry["at"])
    return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
