"""GET /metrics over real receipts, and with its stores away."""

import secrets
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from pymongo.database import Database
from redis import Redis

from app.broker import CONTROL_QUEUE
from app.database import Document
from app.deliveries.lag import Lag, lag_of
from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.port import LOOPBACK, free_ports
from app.embedded.server import running
from app.main import create_app
from app.metrics.catalog import CATALOG
from app.receipts.cancellation import BY_FORCE
from app.receipts.census import OPEN, Census
from app.receipts.index import BY_STATUS
from app.receipts.job_type import JobType
from app.receipts.ledger import Ledger
from app.receipts.pulse import SpoolState
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from app.receipts.tally import KEY, OTHER, Field, Measure, added
from app.receipts.transition import Move
from app.settings import Settings
from app.stores import Stores
from tests.integration.conftest import serving
from tests.integration.receipts import COMPLETED, brief, claim, create, expired, own_valkey

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"


def scraped(url: str) -> Samples:
    """Every sample of a scrape by its name and labels."""
    answer = httpx.get(f"{url}/metrics", timeout=30)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in prometheus(answer.text)
        for sample in family.samples
    }


def families(answer: httpx.Response) -> list[Metric]:
    """The families of an answer in OpenMetrics."""
    return list(openmetrics(answer.text))  # type: ignore[no-untyped-call] # untyped package


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"waybill_{name}", frozenset(labels.items())))


@pytest.fixture
def kind(stores: Stores) -> str:
    """A registered task type of this test alone: the tally is that of the whole server."""
    name = f"test_{secrets.token_hex(6)}"
    stores.ledger.job_types.register([JobType(name, "test.jobs", 3, True, False)])
    return name


def test_the_life_of_tasks_is_counted(api_url: str, ledger: Ledger, kind: str) -> None:
    receipts = ledger.receipts
    ended, by = claim(ledger, create(ledger, task_type=kind))
    assert receipts.finish(ended.task_id, by.token, COMPLETED, worker=by.worker)
    failing, by = claim(ledger, create(ledger, task_type=kind))
    again = Move(
        (TaskStatusEnum.PROCESSING,),
        TaskStatusEnum.PENDING,
        actor="worker:w1",
        reason="busy",
        traceback="…",
    )
    assert receipts.requeue(failing.task_id, again, guard={"lease.token": by.token}, token=by.token)
    claim(brief(ledger), failing)
    expired(ledger, failing.task_id)
    create(ledger, task_type=kind)

    samples = scraped(api_url)

    assert value(samples, "open_tasks", status="PENDING", task_type=kind) == 2
    assert value(samples, "open_tasks", status="PROCESSING", task_type=kind) is None
    assert value(samples, "task_transitions_total", status="PENDING", task_type=kind) == 5
    assert value(samples, "task_transitions_total", status="PROCESSING", task_type=kind) == 3
    assert value(samples, "task_transitions_total", status="COMPLETED", task_type=kind) == 1
    assert value(samples, "task_attempts_total", task_type=kind) == 3
    assert value(samples, "task_retries_total", task_type=kind) == 1
    assert value(samples, "lease_expiries_total", status="PENDING", task_type=kind) == 1
    assert value(samples, "task_wait_seconds_count", task_type=kind) == 2
    assert value(samples, "task_run_seconds_count", task_type=kind) == 1
    assert value(samples, "task_whole_seconds_bucket", task_type=kind, le="+Inf") == 1
    assert value(samples, "receipts") == 3


def test_kills_are_counted_by_how_they_came_about(api_url: str, ledger: Ledger, kind: str) -> None:
    waiting = create(ledger, task_type=kind)
    ledger.killer.kill(waiting.task_id, actor="key:ops", reason=None)
    deaf, _ = claim(ledger, create(ledger, task_type=kind))
    ledger.cancellations.request(deaf.task_id, actor="key:ops", reason=None)
    asked = ledger.receipts.get(deaf.task_id)
    assert ledger.cancellations.record_end(asked, outcome=BY_FORCE)
    quick, by = claim(ledger, create(ledger, task_type=kind))
    ledger.cancellations.request(quick.task_id, actor="key:ops", reason=None)
    assert ledger.receipts.finish(quick.task_id, by.token, COMPLETED, worker=by.worker)

    samples = scraped(api_url)

    for outcome in ("waiting", "forced", "finished_first"):
        assert value(samples, "kills_total", outcome=outcome, task_type=kind) == 1, outcome


def test_a_receipt_without_a_copy_is_counted(ledger: Ledger, api_url: str, kind: str) -> None:
    """Its JSON is larger than a copy may be."""
    large, by = claim(ledger, create(ledger, task_type=kind))
    ending = Ending(TaskStatusEnum.COMPLETED, outputs=["x" * 300_000])
    assert ledger.receipts.finish(large.task_id, by.token, ending, worker=by.worker)
    samples = scraped(api_url)
    assert value(samples, "task_transitions_total", status="COMPLETED", task_type=kind) == 1


def test_a_type_that_nobody_serves_has_no_label_of_its_own(
    api_url: str, ledger: Ledger, kind: str
) -> None:
    stranger = f"{kind}_stranger"
    create(ledger, task_type=stranger)
    samples = scraped(api_url)
    assert value(samples, "open_tasks", status="PENDING", task_type="other") == 1
    assert not [labels for _, labels in samples if ("task_type", stranger) in labels]


def test_counts_of_another_version_are_passed_over(
    api_url: str, ledger: Ledger, kind: str, redis_url: str
) -> None:
    create(ledger, task_type=kind)
    with Redis.from_url(redis_url) as redis:
        for name in ("unheard_of", f"moved-{kind}|PENDING", "mused|PENDING|a"):
            redis.hset(KEY, name, 1)
    samples = scraped(api_url)
    assert value(samples, "task_transitions_total", status="PENDING", task_type=kind) == 1


@pytest.mark.parametrize("travels", [True, False])
def test_the_tally_expires(ledger: Ledger, redis_url: str, travels: bool) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.delete(KEY)
        if travels:
            create(ledger)
        else:
            ledger.cache.tally.add(added(Measure.MOVED, "PENDING", "test_job"))
        assert redis.ttl(KEY) > 0


def test_workers_and_their_slots_are_summed_by_queue(api_url: str, stores: Stores) -> None:
    for name, queues in (("a", ["q.one", "q.two"]), ("b", ["q.one"])):
        stores.ledger.pulse.beat(name, queues=queues, slots=2)
    samples = scraped(api_url)
    assert value(samples, "workers", queue="q.one") == 2
    assert value(samples, "worker_slots", queue="q.one") == 4
    assert value(samples, "worker_slots", queue="q.two") == 2
    assert value(samples, "beat_tick_age_seconds") is None


def test_runs_on_their_way_are_counted(
    api_url: str, stores: Stores, ledger: Ledger, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.hdel(KEY, str(Field(Measure.RECORDED, "stored", OTHER)))
    for name, waiting_bytes in (("spool:a", 10), ("spool:b", 32)):
        stores.ledger.pulse.tell_spool(name, SpoolState(waiting_bytes, takes_runs=True))
    ledger.cache.tally.add(added(Measure.RECORDED, "stored", OTHER, 3))
    samples = scraped(api_url)
    assert value(samples, "runs_waiting_bytes") == 42
    assert value(samples, "run_rows_total", outcome="stored") == 3


@pytest.mark.parametrize("is_there", [True, False])
def test_health_says_what_waits_for_postgresql(
    settings: Settings, postgres_url: str, is_there: bool
) -> None:
    url = postgres_url if is_there else f"postgresql://{LOOPBACK}:{free_ports(1)[0]}/"
    app = create_app(settings.model_copy(update={"postgres_url": url}))
    findings = []
    with serving(app) as api_url:
        for takes_runs in (True, False):
            state = SpoolState(3 * 512 * 1024, takes_runs=takes_runs)
            app.state.stores.ledger.pulse.tell_spool("spool:a", state)
            health = httpx.get(f"{api_url}/v1/health", timeout=30).json()
            findings.append(tuple(health["components"]["postgres"].values()))
    waiting = "1.5 MiB of runs wait on disk"
    full = f"{waiting}, which has no room for more"
    assert findings == (
        [("OK", "answers"), ("DEGRADED", f"answers, but runs are lost; {full}")]
        if is_there
        else [
            ("DEGRADED", f"does not answer; {waiting}"),
            ("DEGRADED", f"does not answer; {full}"),
        ]
    )


def test_the_lag_is_the_age_of_what_nobody_was_told_of(
    ledger: Ledger, database: Database[Document]
) -> None:
    assert lag_of(database) == Lag(timedelta(0), timedelta(0))
    create(ledger)
    database["mailboxes"].insert_one(
        {"_id": "wh_a", "due_at": datetime.now(UTC) - timedelta(hours=1)}
    )
    database["mailboxes"].insert_one(
        {
            "_id": "wh_b",
            "due_at": datetime.now(UTC) - timedelta(hours=2),
            "health": {"paused_until": datetime.now(UTC) + timedelta(hours=2)},
        }
    )
    lag = lag_of(database)
    assert timedelta(0) < lag.expansion < timedelta(hours=1) <= lag.dispatch < timedelta(hours=2)


def test_requests_are_counted_by_template(api_url: str, client: httpx.Client) -> None:
    for task_id in ("tsk_a", "tsk_b"):
        assert client.get(f"/v1/tasks/{task_id}").status_code == 404
    client.get("/nowhere/at/all")
    client.request("PROPFIND", "/v1/tasks/tsk_a")
    samples = scraped(api_url)
    route = "/v1/tasks/{task_id}"
    assert value(samples, "http_requests_total", method="GET", route=route, status="404") == 2
    assert value(samples, "http_request_seconds_count", method="GET", route=route) == 2
    assert value(samples, "http_requests_total", method="GET", route="none", status="404") == 1
    methods = {dict(labels).get("method") for _, labels in samples}
    assert "other" in methods
    assert "PROPFIND" not in methods


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_both_formats_have_the_whole_catalog(api_url: str, accept: str) -> None:
    answer = httpx.get(f"{api_url}/metrics", headers={"Accept": accept}, timeout=30)
    assert answer.headers["content-type"].startswith(accept.partition(";")[0])
    parsed = families(answer) if accept == OPENMETRICS else prometheus(answer.text)
    found = {family.name: (family.type, family.documentation) for family in parsed}
    # Of the library's own, one a family: when each counter began.
    served = {name: what for name, what in found.items() if not name.endswith("_created")}
    assert served == {entry.name: (entry.kind, entry.meaning) for entry in CATALOG}


@pytest.mark.parametrize("version", ["x", "1.0.0-rc", "1.x.0"])
def test_a_version_that_is_none_gets_the_plain_format(api_url: str, version: str) -> None:
    accept = f"application/openmetrics-text; version={version}"
    answer = httpx.get(f"{api_url}/metrics", headers={"Accept": accept}, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")


def test_samples_have_the_labels_of_the_catalog(api_url: str, ledger: Ledger, kind: str) -> None:
    ended, by = claim(ledger, create(ledger, task_type=kind))
    ledger.receipts.finish(ended.task_id, by.token, COMPLETED, worker=by.worker)
    httpx.get(f"{api_url}/v1/health", timeout=30)
    labels = {entry.name: set(entry.labels) for entry in CATALOG}
    answer = httpx.get(f"{api_url}/metrics", headers={"Accept": OPENMETRICS}, timeout=30)
    for family in families(answer):
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels[family.name], sample


def test_open_tasks_are_counted_without_reading_receipts(
    ledger: Ledger, database: Database[Document]
) -> None:
    ledger.receipts.ensure_indexes()
    create(ledger)
    plan = database.command(
        "explain",
        {
            "aggregate": "tasks",
            "pipeline": [
                {"$match": {"status": {"$in": OPEN}}},
                {"$group": {"_id": {"s": "$status", "t": "$task_type"}, "n": {"$sum": 1}}},
            ],
            "hint": BY_STATUS,
            "cursor": {},
        },
        verbosity="executionStats",
    )
    assert "totalDocsExamined': 0" in str(plan)
    assert Census(ledger.receipts).open_tasks() == {(TaskStatusEnum.PENDING, "test_job"): 1}


@pytest.fixture
def lonely(settings: Settings, tmp_path: Path) -> FastAPI:
    """An API whose Redis has ended since it started."""
    layout, valkey = own_valkey(tmp_path)
    with running(layout, [valkey]):
        pass
    alone = settings.model_copy(update={"redis_url": valkey.url})
    return create_app(alone)


def test_a_scrape_without_redis_answers_with_what_there_is(
    lonely: FastAPI,
) -> None:
    with serving(lonely) as url:
        samples = scraped(url)
    assert value(samples, "up", component="redis") == 0
    assert value(samples, "up", component="mongodb") == 1
    assert value(samples, "receipts") == 0
    assert not [name for name, _ in samples if name == "waybill_queue_messages"]


def test_a_scrape_without_mongodb_answers_with_what_there_is(
    settings: Settings, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    layout.make()
    mongo = Mongo(layout, free_ports(1)[0])
    with ExitStack() as stack:
        with running(layout, [mongo]):
            alone = settings.model_copy(update={"mongo_url": mongo.url})
            url = stack.enter_context(serving(create_app(alone)))
        samples = scraped(url)
    assert value(samples, "up", component="mongodb") == 0
    assert value(samples, "up", component="redis") == 1
    assert value(samples, "queue_messages", queue=CONTROL_QUEUE) is not None
    assert not [name for name, _ in samples if name in ("waybill_receipts", "waybill_workers")]
