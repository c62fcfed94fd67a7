"""A snapshot as Prometheus reads it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from app.health import Health
from app.metrics import catalog
from app.metrics.catalog import Entry
from app.metrics.snapshot import Snapshot
from app.receipts.cancellation import (
    BEFORE_START,
    BY_FORCE,
    WHILE_RUNNING,
    WHILE_WAITING,
    WORKER_LOST,
)
from app.receipts.status import TaskStatusEnum
from app.receipts.store import FINISHED_FIRST
from app.receipts.tally import BOUNDS_S, OTHER, SUM, Field, Measure
from waybill import __version__

OUTCOMES: Final = {
    BEFORE_START: "waiting",
    WHILE_WAITING: "waiting",
    WHILE_RUNNING: "running",
    BY_FORCE: "forced",
    WORKER_LOST: "worker_lost",
    FINISHED_FIRST: "finished_first",
}
_LES: Final = (*map(str, BOUNDS_S), "+Inf")

Samples = Mapping[tuple[str, ...], float]
Tally = Sequence[tuple[Field, int]]


def render(snapshot: Snapshot, requests: CollectorRegistry, *, accept: str) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics for who accepts it, else Prometheus' text."""
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:  # the library's, for a version that is no number
        encode, content_type = choose_encoder("")
    return encode(_Page(snapshot, requests)), content_type


@dataclass(frozen=True, slots=True)
class _Page:
    """What the encoders walk through."""

    snapshot: Snapshot
    requests: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        """Every metric of the catalog, with or without samples."""
        yield from families(self.snapshot)
        yield from self.requests.collect()


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """The metrics of the snapshot, all but those of requests."""
    yield from _states(snapshot)
    yield from _open_tasks(snapshot)
    tally = _known(snapshot)
    moved = _of(tally, Measure.MOVED)
    yield _counter(catalog.TRANSITIONS, _by_detail(moved))
    begun = [each for each in moved if each[0].detail == TaskStatusEnum.PROCESSING]
    yield _counter(catalog.ATTEMPTS, _by_type(begun))
    yield _counter(catalog.RETRIES, _by_type(_of(tally, Measure.RETRIED)))
    yield _counter(catalog.EXPIRIES, _by_detail(_of(tally, Measure.EXPIRED)))
    yield _counter(catalog.KILLS, _by_detail(_of(tally, Measure.KILLED), OUTCOMES))
    yield _histogram(catalog.WAIT, _of(tally, Measure.WAITED))
    yield _histogram(catalog.RUN, _of(tally, Measure.RAN))
    yield _histogram(catalog.WHOLE, _of(tally, Measure.TOOK))
    attempts = _of(list((snapshot.tally or {}).items()), Measure.DELIVERED)
    yield _counter(catalog.DELIVERIES, _by_detail(attempts))
    recorded = _of(list((snapshot.tally or {}).items()), Measure.RECORDED)
    yield _counter(catalog.RUN_ROWS, {(field.detail,): count for field, count in recorded})


def _states(snapshot: Snapshot) -> Iterator[Metric]:
    well: Samples = {
        (name,): float(finding.status is Health.OK) for name, finding in snapshot.findings.items()
    }
    yield _gauge(catalog.UP, well)
    yield _gauge(catalog.BUILD, {(__version__,): 1})
    yield _gauge(catalog.QUEUE_MESSAGES, {(k,): v for k, v in (snapshot.depths or {}).items()})
    crews = (snapshot.crews or {}).items()
    yield _gauge(catalog.WORKERS, {(queue,): crew.workers for queue, crew in crews})
    yield _gauge(catalog.WORKER_SLOTS, {(queue,): crew.slots for queue, crew in crews})
    age = snapshot.beat_age
    yield _gauge(catalog.BEAT_AGE, {} if age is None else {(): age.total_seconds()})
    lag = snapshot.lag
    lags = () if lag is None else (("expansion", lag.expansion), ("dispatch", lag.dispatch))
    yield _gauge(catalog.EVENT_LAG, {(step,): each.total_seconds() for step, each in lags})
    spools = snapshot.spools
    yield _gauge(catalog.RUNS_WAITING, {} if spools is None else {(): spools.waiting_bytes})
    stored = snapshot.receipts
    yield _gauge(catalog.RECEIPTS, {} if stored is None else {(): stored})


def _open_tasks(snapshot: Snapshot) -> Iterator[Metric]:
    counts = Counter[tuple[str, ...]]()
    for (status, task_type), count in (snapshot.open_tasks or {}).items():
        counts[status, _shown(task_type, snapshot.task_types)] += count
    yield _gauge(catalog.OPEN_TASKS, counts)


def _known(snapshot: Snapshot) -> Tally:
    """The counts; none where the types are not known, since all would fall to `other`."""
    if snapshot.tally is None or not snapshot.task_types:
        return []
    return [
        (replace(field, task_type=_shown(field.task_type, snapshot.task_types)), count)
        for field, count in snapshot.tally.items()
    ]


def _shown(task_type: str, known: Set[str]) -> str:
    """A type that no worker serves any more keeps no label of its own."""
    return task_type if task_type in known else OTHER


def _of(tally: Tally, measure: Measure) -> Tally:
    return [(field, count) for field, count in tally if field.measure is measure]


def _by_type(tally: Tally) -> Samples:
    counts = Counter[tuple[str, ...]]()
    for field, count in tally:
        counts[field.task_type,] += count
    return counts


def _by_detail(tally: Tally, shown: Mapping[str, str] | None = None) -> Samples:
    counts = Counter[tuple[str, ...]]()
    for field, count in tally:
        detail = field.detail if shown is None else shown.get(field.detail, OTHER)
        counts[detail, field.task_type] += count
    return counts


def _gauge(entry: Entry, samples: Samples) -> Metric:
    family = GaugeMetricFamily(entry.name, entry.meaning, labels=entry.labels)
    for labels, value in sorted(samples.items()):
        family.add_metric(labels, value)
    return family


def _counter(entry: Entry, samples: Samples) -> Metric:
    family = CounterMetricFamily(entry.name, entry.meaning, labels=entry.labels)
    for labels, value in sorted(samples.items()):
        family.add_metric(labels, value)
    return family


def _histogram(entry: Entry, tally: Tally) -> Metric:
    family = HistogramMetricFamily(entry.name, entry.meaning, labels=entry.labels)
    sums, buckets = Counter[str](), dict[str, Counter[int]]()
    for field, count in tally:
        if field.detail == SUM:
            sums[field.task_type] += count
        else:
            buckets.setdefault(field.task_type, Counter())[int(field.detail)] += count
    for task_type, counts in sorted(buckets.items()):
        cumulative = accumulate(counts[number] for number in range(len(_LES)))
        bounds = list(zip(_LES, map(float, cumulative), strict=True))
        family.add_metric([task_type], bounds, sums[task_type] / 1000)
    return family
