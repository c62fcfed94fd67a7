"""One large batch of texts: how fast, in how much memory, and how good its estimates were.

The comparison: texts of a thousand words, whose runs of one to eight characters are hashed, the
most that the text extractor does, so that what a batch costs is its extractor. Ours is the whole
batch on two worker processes, from the start of its task to its end: read from MongoDB, checked,
extracted, its documents written, with progress and checkpoints. The reference is the same extractor
class over the same texts, as many at a time, in a bare loop in one process, which keeps nothing.
Both are on one machine, where MongoDB has to find room beside the two workers.

The receipts' share of the batch's time is what `bench.whereabouts` sees in the same rounds.
Where texts are short and their extractor is quick, a batch costs what reading and storing costs:
a line without a number to reach tells how much.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from app.resources.extraction import PAGE_OBJECTS
from bench import whereabouts
from bench.rounds import alternate
from bench.row import Row, at_least, figure, noted, within
from bench.stack import WORKERS, bench_stack
from tests.acceptance.shop import SCHEMA, Shop, text_object
from tests.stack import Stack
from waybill import Client
from waybill.flow.polling import TERMINAL
from waybill.types import Batch, JsonObject, Task
from workers.extractors.text import TextExtractor

SAMPLE_EVERY_S: Final = 0.5
SLOWEST_S: Final = 900.0
MIB: Final = 1024 * 1024

OBJECTS: Final = 2_000  # four chunks, two for each worker
WORDS: Final = 1_000  # of a text
VOCABULARY: Final = 5_000
PARAMETERS: Final = {"ngram_range": [1, 8]}
SHORT: Final = 10_000
REACH: Final = 1.8
SHARE_REACH: Final = 3.0  # percent
SEED: Final = 7


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
    first_mib: dict[str, float] = field(default_factory=dict)
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


def rows(count: int = OBJECTS) -> list[Row]:
    """Objects a second against a bare loop, the receipts' share, and short texts."""
    with tempfile.TemporaryDirectory(prefix="waybill-seen-") as folder:
        env = {whereabouts.FOLDER: folder}
        with bench_stack(imports=whereabouts.MODULE, env=env) as (stack, client):
            compared = _compared(client, count)
            seen = whereabouts.seen_in(Path(folder))
            share = within(
                "the receipts' share of a batch's time",
                100 * seen.share,
                reach=SHARE_REACH,
                unit="%",
                note=f"of {figure(seen.job_s)} s in jobs",
            )
            return [compared, share, _short_texts(client, stack)]


def long_texts(count: int) -> list[str]:
    """Texts of a thousand words of eight letters, the same each time."""
    rng = random.Random(SEED)
    vocabulary = [f"{rng.randrange(16**8):08x}" for _ in range(VOCABULARY)]
    return [" ".join(rng.choices(vocabulary, k=WORDS)) for _ in range(count)]


def _compared(client: Client, count: int) -> Row:
    found = long_texts(count)
    shop = _shop(client)
    ids = shop.add(text_object(text) for text in found)

    def ours() -> float:
        batch = client.batches.create(shop.bucket_id, object_ids=ids)
        task = client.batches.submit(shop.bucket_id, batch["batch_id"])
        ended = client.tasks.wait(task["task_id"], timeout_s=SLOWEST_S)
        run = Run(batch, ended, [], 0.0)
        if run.receipt["outputs"] is None or run.receipt["outputs"][0]["succeeded"] != count:
            raise ValueError(f"not all of {count} texts became documents: {run.receipt}")
        return count / run.seconds

    extractor = TextExtractor(PARAMETERS)

    def reference() -> float:
        begin_s = time.perf_counter()
        for first in range(0, count, PAGE_OBJECTS):
            extractor.extract([{"text": text} for text in found[first : first + PAGE_OBJECTS]])
        return count / (time.perf_counter() - begin_s)

    return at_least(
        f"batch objects a second, {WORKERS} worker processes",
        alternate(ours, reference),
        reach=REACH,
        unit="a second",
        against="the extractor in a bare loop in one process",
    )


def _shop(client: Client) -> Shop:
    """A bucket whose texts are hashed by the long way."""
    bucket = client.buckets.create("long-texts", bucket_schema=SCHEMA)
    extractor = {"feature_extractor_name": "text", "parameters": PARAMETERS}
    collection = client.collections.create(
        "long-texts",
        bucket_ids=[bucket["bucket_id"]],
        feature_extractor={**extractor, "input_mappings": {"text": "body"}},
    )
    return Shop(client, bucket["bucket_id"], collection["collection_id"])


def _short_texts(client: Client, stack: Stack) -> Row:
    shop = Shop.open(client)
    run = run_batch(client, shop.bucket_id, SHORT, stack.pids)
    if run.receipt["status"] != "COMPLETED":
        raise ValueError(f"the short texts' batch did not end well: {run.receipt}")
    peak = ", ".join(f"{role} {figure(mib)}" for role, mib in sorted(run.peak_mib.items()))
    text = (
        f"{figure(SHORT / run.seconds)} objects a second, estimates right within a factor of two"
        f" {run.estimates_within(2):.0%}; MiB at the peak, the largest process: {peak}"
    )
    return noted(f"a batch of {SHORT:,} short texts", text)


def texts(count: int) -> Iterator[JsonObject]:
    """Objects with a short text each, all different."""
    for n in range(count):
        text = f"note {n}: the {n % 97} of {n % 89} went to the {n % 83}, and {n % 79} came back"
        yield {"blobs": [{"property": "body", "type": "text", "data": text}]}


def run_batch(
    client: Client, bucket_id: str, count: int, pids: Callable[[], Mapping[str, int]]
) -> Run:
    """Imports `count` texts, processes them, and watches the processes while it does.

    Memory is the resident size of each role's processes, children one by one: before the import,
    and at its peak while the batch runs.
    """
    first_mib: dict[str, float] = {}
    note_memory(first_mib, pids())
    began_s = time.monotonic()
    ids = _import(client, bucket_id, count)
    import_s = time.monotonic() - began_s
    batch = client.batches.create(bucket_id, object_ids=ids)
    began_s = time.monotonic()
    task = client.batches.submit(bucket_id, batch["batch_id"])
    run = Run(batch, task, [], import_s, first_mib)
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
