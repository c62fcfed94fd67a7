"""How long a kill takes to become CANCELED, and a job of a killed worker to run again.

Kills: from the request to the end, by the receipt, which has both from MongoDB's clock. Crashes:
from the SIGKILL of the whole worker, by the clock of this machine, to the next PROCESSING in the
history of each job that it ran.
"""

import os
import signal
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from tests.polling import poll
from tests.stack import Stack
from waybill import Client
from waybill.flow.polling import TERMINAL
from waybill.types import Task

WITHIN_S: Final = 120.0
NEVER: Final = 36_000  # ticks of 0.1 s: longer than any run of this


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds that something took, at least once."""

    name: str
    seconds: Sequence[float]
    bound: str

    def __str__(self) -> str:
        median, worst = statistics.median(self.seconds), max(self.seconds)
        return (
            f"{self.name:34} {median:7.2f} s median {worst:7.2f} s worst "
            f"of {len(self.seconds):3}   ({self.bound})"
        )


def kill_running(client: Client, task_type: str, *, times: int, bound: str) -> Spans:
    """Kills a running job of this type, one at a time."""
    spans = []
    for _ in range(times):
        task = _running(client, task_type, NEVER)
        client.tasks.kill(task["task_id"])
        receipt = _ended(client, task)
        assert receipt["status"] == "CANCELED", receipt
        assert receipt["cancellation"] is not None
        asked_at = _time(receipt["cancellation"]["requested_at"])
        spans.append((_time(str(receipt["ended_at"])) - asked_at).total_seconds())
    return Spans(f"kill to CANCELED, {task_type}", spans, bound)


def crash(client: Client, stack: Stack, *, times: int, workers: int, bound: str) -> Spans:
    """Kills the worker with all its processes while each of them runs a job."""
    spans = []
    for _ in range(times):
        tasks = [_running(client, "test_slow", NEVER) for _ in range(workers)]
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
    return Spans("SIGKILL of a worker to running again", spans, bound)


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
