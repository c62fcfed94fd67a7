"""How a producer waits: the pauses, and `Client.wait` against a small real server."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.receipts.status import TERMINAL as TERMINAL_STATUSES
from app.receipts.status import TaskStatusEnum
from waybill.client import ApiError, Client, TaskCanceledError, TaskFailedError
from waybill.polling import FACTOR, FIRST_DELAY_S, JITTER, LONGEST_DELAY_S, TERMINAL, delays

TASK = "/v1/tasks/tsk_1"
BATCH = "/v1/buckets/bkt_1/batches/btch_1"
GONE = (404, {"success": False, "error": {"message": "There is no task.", "type": "NotFoundError"}})

Answer = tuple[int, Any]


@dataclass
class Script:
    """What the server answers to each path, the last answer again and again."""

    answers: dict[str, list[Answer]]
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def take(self, path: str) -> Answer:
        waiting = self.answers[path]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def serving(answers: dict[str, list[Answer]]) -> Iterator[tuple[Client, Script]]:
    script = Script(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.requests.append((self.path, dict(self.headers)))
            status, content = script.take(self.path)
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps the tests' output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with Client(url, "sk_test", namespace="shop") as client:
                yield client, script
        finally:
            server.shutdown()
            thread.join()


def task(status: str, **further: Any) -> Answer:
    return 200, {"task_id": "tsk_1", "status": status, "error_message": None, **further}


def wait(client: Client, **options: Any) -> dict[str, Any]:
    return client.wait("tsk_1", longest_delay_s=0.001, **options)


def test_the_pauses_are_the_seeds() -> None:
    assert (FIRST_DELAY_S, FACTOR, LONGEST_DELAY_S) == (1.0, 1.5, 30.0)
    assert {status.value for status in TERMINAL_STATUSES} == TERMINAL


@given(st.integers(0, 2**64), st.integers(1, 60))
def test_pauses_grow_by_half_up_to_the_cap_with_little_jitter(seed: int, count: int) -> None:
    for index, delay_s in enumerate(islice(delays(random.Random(seed)), count)):
        exact_s = min(1.0 * 1.5**index, 30.0)
        assert exact_s * (1 - JITTER) <= delay_s <= min(exact_s * (1 + JITTER), 30.0)


def test_clients_started_together_do_not_ask_together() -> None:
    first = {next(delays(random.Random(seed))) for seed in range(50)}
    assert len(first) > 40


@pytest.mark.parametrize("status", ["COMPLETED", "SKIPPED"])
def test_wait_returns_the_last_answer(status: str) -> None:
    answers = [task("PENDING"), task("PROCESSING"), task(status, outputs=[1])]
    with serving({TASK: answers}) as (client, script):
        assert wait(client) == {**task(status)[1], "outputs": [1]}
    assert script.paths() == [TASK] * 3
    headers = {key.lower(): value for key, value in script.requests[0][1].items()}
    assert headers["authorization"] == "Bearer sk_test"
    assert headers["x-namespace"] == "shop"


def test_wait_raises_what_the_receipt_says_of_a_failure() -> None:
    failed = task("FAILED", error_message="The file is no image.")
    with (
        serving({TASK: [task("PROCESSING"), failed]}) as (client, _),
        pytest.raises(TaskFailedError, match=r"^The file is no image\.$"),
    ):
        wait(client)


def test_wait_stops_on_canceled_and_says_who_and_why() -> None:
    asked = {"actor": "key:ci", "reason": "wrong bucket"}
    with serving({TASK: [task("CANCELED", cancellation=asked)]}) as (client, script):
        with pytest.raises(TaskCanceledError, match="key:ci: wrong bucket"):
            wait(client)
        assert script.paths() == [TASK]


@pytest.mark.parametrize("cancellation", [None, {}, {"actor": "key:ci", "reason": None}])
def test_a_cancellation_without_words_is_still_one(cancellation: object) -> None:
    with (
        serving({TASK: [task("CANCELED", cancellation=cancellation)]}) as (client, _),
        pytest.raises(TaskCanceledError, match="without a reason"),
    ):
        wait(client)


@pytest.mark.parametrize("further", [{}, {"failure_reason": None}])
def test_a_failure_without_words_is_still_a_sentence(further: dict[str, Any]) -> None:
    with serving({TASK: [task("FAILED", **further)]}) as (client, _):
        with pytest.raises(TaskFailedError) as caught:
            wait(client)
        assert str(caught.value) not in ("", "None")


@pytest.mark.parametrize("status", sorted(set(TaskStatusEnum) - TERMINAL_STATUSES))
def test_wait_goes_on_while_the_status_is_not_terminal(status: str) -> None:
    with serving({TASK: [task(status), task(status), task("COMPLETED")]}) as (client, script):
        seen: list[str] = []
        wait(client, on_poll=lambda answer: seen.append(answer["status"]))
        assert seen == [status, status, "COMPLETED"]
        assert script.paths() == [TASK] * 3


def test_a_receipt_that_is_gone_is_polled_on_at_its_resource() -> None:
    resource = [task("PROCESSING", batch_id="btch_1"), task("COMPLETED", batch_id="btch_1")]
    with serving({TASK: [task("PROCESSING"), GONE], BATCH: resource}) as (client, script):
        assert wait(client, resource_path=BATCH)["batch_id"] == "btch_1"
        assert script.paths() == [TASK, TASK, BATCH, BATCH]


def test_the_resource_says_how_it_failed() -> None:
    failed = 200, {"batch_id": "btch_1", "status": "FAILED", "failure_reason": "No disk is left."}
    with (
        serving({TASK: [GONE], BATCH: [failed]}) as (client, _),
        pytest.raises(TaskFailedError, match="No disk is left"),
    ):
        wait(client, resource_path=BATCH)


def test_without_a_resource_a_receipt_that_is_gone_is_an_error() -> None:
    with serving({TASK: [GONE]}) as (client, script):
        with pytest.raises(ApiError, match="There is no task") as caught:
            wait(client)
        assert caught.value.status == 404
        assert caught.value.type == "NotFoundError"
        assert script.paths() == [TASK]


def test_where_the_resource_is_gone_as_well_the_wait_ends() -> None:
    with serving({TASK: [GONE], BATCH: [GONE]}) as (client, script):
        with pytest.raises(ApiError):
            wait(client, resource_path=BATCH)
        assert script.paths() == [TASK, BATCH]


@pytest.mark.parametrize("status", [401, 403, 500])
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": null}', b'{"error": {}}'])
def test_an_error_that_is_no_json_of_ours_is_an_error_all_the_same(
    status: int, body: bytes
) -> None:
    with (
        serving({TASK: [(status, body)]}) as (client, _),
        pytest.raises(ApiError, match=str(status)) as caught,
    ):
        wait(client, resource_path=BATCH)
    assert caught.value.status == status
