"""One trace from the request to every attempt, over a real API, broker and worker."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from celery import Celery
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from pymongo.database import Database

from app.access.permission import Permission
from app.broker import CONCLUSIONS_QUEUE, celery_configuration
from app.database import Document
from app.main import create_app
from app.receipts.ledger import Ledger
from app.receipts.status import TERMINAL
from app.settings import Settings
from tests.collector import Collector, Received, collecting
from tests.integration.conftest import serving
from tests.integration.worker.fleet import environment, jobs_worker
from tests.polling import poll

WITHIN_S = 90.0
PAYLOAD = "hush-hush"


@dataclass(frozen=True, slots=True)
class Scene:
    """An API and a worker whose spans go to the collector, and nobody else on their queue."""

    client: httpx.Client
    ledger: Ledger
    collector: Collector

    def run(self, task_type: str, *inputs: object) -> tuple[str, str, str]:
        """A task within a trace of the caller's; trace, the caller's span, and task id."""
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        answer = self.client.post(
            "/v1/tasks/submit",
            json={"tasks": [{"task_type": task_type, "inputs": list(inputs)}]},
            headers={"traceparent": f"00-{trace_id}-{span_id}-01"},
        )
        (task,) = answer.json()["succeeded"]

        def ended() -> bool:
            self.ledger.queue.republish(self.ledger.publisher)  # no Beat is here to do it
            return self.ledger.receipts.get(task["task_id"]).status in TERMINAL

        poll(ended, description=f"{task_type} ends", within_s=WITHIN_S)
        return trace_id, span_id, task["task_id"]

    def spans(
        self, trace_id: str, complete: Callable[[list[Received]], bool]
    ) -> dict[str, list[Received]]:
        """The trace by the names of its spans, once what is to come has come."""
        found = poll(
            lambda: complete(spans := self.collector.of_trace(trace_id)) and spans,
            description="the spans arrive",
            within_s=WITHIN_S,
        )
        named: dict[str, list[Received]] = {}
        for each in found:
            named.setdefault(each.span.name, []).append(each)
        return named


@pytest.fixture
def scene(
    mongo_url: str, redis_url: str, database: Database[Document], tmp_path: Path
) -> Iterator[Scene]:
    queue = f"test.traced.{secrets.token_hex(4)}"
    celery = Celery("test", set_as_current=False)
    with collecting() as collector:
        settings = Settings.model_validate(
            {
                "mongo_url": mongo_url,
                "mongo_database": database.name,
                "redis_url": redis_url,
                "otel_endpoint": collector.url,
            }
        )
        celery.conf.update(celery_configuration(settings))
        ledger = Ledger.open(settings, database, celery)
        told = {"WAYBILL_OTEL_ENDPOINT": collector.url, "WAYBILL_RETRY_BACKOFF_S": "0"}
        env = environment(mongo_url, database.name, redis_url) | told
        worker = jobs_worker(
            "traced",
            tmp_path,
            env,
            queue=f"{queue},{CONCLUSIONS_QUEUE}",
            overrides=(f"task_default_queue={queue}",),
        )
        try:
            app = create_app(settings)
            with serving(app) as url:
                worker.ready()
                poll(ledger.job_types.all, description="the worker registers", within_s=WITHIN_S)
                plain = f"sk_{secrets.token_hex(16)}"
                app.state.stores.keys.register(plain, "test", Permission.ADMIN)
                headers = {"Authorization": f"Bearer {plain}"}
                with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
                    yield Scene(client, ledger, collector)
        finally:
            worker.teardown()
            celery.close()


def test_a_trace_holds_the_request_and_every_attempt(scene: Scene) -> None:
    trace_id, caller_id, task_id = scene.run("test_flaky", 3, PAYLOAD)
    named = scene.spans(trace_id, lambda spans: len(_attempts(spans)) == 3 and _asked(spans))

    (request,) = named["POST /v1/tasks/submit"]
    assert request.parent_id == caller_id
    assert request.service == "waybill-api"
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["http.route"] == "/v1/tasks/submit"

    attempts = named["run test_flaky"]
    assert [each.parent_id for each in attempts] == [request.span_id] * 3
    assert {each.service for each in attempts} == {"waybill-worker"}
    assert [each.attributes["waybill.attempt"] for each in attempts] == [1, 2, 3]
    assert {each.attributes["waybill.task_id"] for each in attempts} == {task_id}
    statuses = [each.attributes["waybill.status"] for each in attempts]
    assert statuses == ["PENDING", "PENDING", "COMPLETED"]
    for failed in attempts[:2]:
        assert failed.span.status.code == Status.STATUS_CODE_ERROR
        assert [event.name for event in failed.span.events] == ["exception"]
    assert attempts[2].span.status.code == Status.STATUS_CODE_UNSET
    assert not any(PAYLOAD.encode() in each.span.SerializeToString() for each in attempts)


def test_children_stand_below_the_attempt_that_planned_them(scene: Scene) -> None:
    trace_id, _, _ = scene.run("test_spread", 2)
    named = scene.spans(trace_id, lambda spans: len(_attempts(spans)) == 4 and _asked(spans))
    (request,) = named["POST /v1/tasks/submit"]
    plan, conclusion = named["run test_spread"]
    pieces = named["run test_spread.piece"]
    assert [plan.parent_id, conclusion.parent_id] == [request.span_id] * 2
    assert [each.parent_id for each in pieces] == [plan.span_id] * 2


def _attempts(spans: list[Received]) -> list[Received]:
    return [each for each in spans if each.span.name.startswith("run ")]


def _asked(spans: list[Received]) -> bool:
    return any(each.span.name.startswith("POST") for each in spans)
