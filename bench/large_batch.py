"""One large batch of texts: how fast, in how much memory, and how good its estimates were."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import psutil

from waybill import Client
from waybill.flow.polling import TERMINAL
from waybill.types import Batch, JsonObject, Task

SAMPLE_EVERY_S: Final = 0.5
SLOWEST_S: Final = 900.0
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """The task's progress at a moment, in seconds since the submit."""

    at_s: float
    done: int
    eta_s: float | None


@dataclass(slots=True)
class Run:
    """What one batch showed."""

    batch: Batch
    receipt: Task
    samples: list[Sample]
    import_s: float
    peak_mib: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the task's start to its end."""
        return (_time(self.receipt["ended_at"]) - _time(self.receipt["started_at"])).total_seconds()

    def estimates_within(self, factor: float) -> float:
        """The share of the run's estimates that named the time left right, within the factor."""
        end_s = self.samples[-1].at_s
        estimates = [(each.eta_s, end_s - each.at_s) for each in self.samples if each.eta_s]
        right = [eta for eta, left in estimates if left / factor <= eta <= left * factor]
        return len(right) / len(estimates) if estimates else 0.0


def texts(count: int) -> Iterator[JsonObject]:
    """Objects with a short text each, all different."""
    for n in range(count):
        text = f"note {n}: the {n % 97} of {n % 89} went to the {n % 83}, and {n % 79} came back"
        yield {"blobs": [{"property": "body", "type": "text", "data": text}]}


def run_batch(
    client: Client, bucket_id: str, count: int, pids: Callable[[], Mapping[str, int]]
) -> Run:
    """Imports `count` texts, processes them, and watches the processes while it does.

    Memory is the resident size of each role's processes, children one by one, at its peak.
    """
    began_s = time.monotonic()
    ids = _import(client, bucket_id, count)
    import_s = time.monotonic() - began_s
    batch = client.batches.create(bucket_id, object_ids=ids)
    began_s = time.monotonic()
    task = client.batches.submit(bucket_id, batch["batch_id"])
    run = Run(batch, task, [], import_s)
    while run.receipt["status"] not in TERMINAL:
        if time.monotonic() - began_s > SLOWEST_S:
            raise TimeoutError(f"the batch was not done within {SLOWEST_S:g} s")
        time.sleep(SAMPLE_EVERY_S)
        run.receipt = client.tasks.get(task["task_id"])
        run.samples.append(_sample(run.receipt, time.monotonic() - began_s))
        note_memory(run.peak_mib, pids())
    return run


def _import(client: Client, bucket_id: str, count: int) -> list[str]:
    answer = client.objects.create_many(bucket_id, list(texts(count)))
    return [stored["object_id"] for stored in answer["succeeded"]]


def _sample(receipt: Task, at_s: float) -> Sample:
    progress = receipt["progress"]
    if progress is None:
        return Sample(at_s, 0, None)
    return Sample(at_s, progress["done"], progress["eta_seconds"])


def note_memory(peak_mib: dict[str, float], pids: Mapping[str, int]) -> None:
    """Raises the peak of each role to the largest of its processes now."""
    for role, pid in pids.items():
        for process in _family(pid):
            try:
                used_mib = process.memory_info().rss / MIB
            except psutil.NoSuchProcess:
                continue
            peak_mib[role] = max(peak_mib.get(role, 0.0), used_mib)


def _family(pid: int) -> Sequence[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
