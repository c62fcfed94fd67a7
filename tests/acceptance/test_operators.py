"""What operators see of a running stack: its metrics, its logs, and what the doctor says."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.polling import poll
from tests.stack import WAYBILL, Stack, clean_environment
from waybill.flow.polling import TERMINAL

pytestmark = pytest.mark.timeout(240)

WITHIN_S = 90.0


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=30) as client:
        yield client


def ended(api: httpx.Client, task_type: str, request_id: str) -> dict[str, Any]:
    """The receipt of a task that was submitted under this request id."""
    body = {"tasks": [{"task_type": task_type}]}
    answer = api.post("/v1/tasks/submit", json=body, headers={"X-Request-ID": request_id})
    (task,) = answer.json()["succeeded"]
    return poll(
        lambda: (
            (now := api.get(f"/v1/tasks/{task['task_id']}").json())["status"] in TERMINAL and now
        ),
        description=f"{task_type} ends",
        within_s=WITHIN_S,
    )


def trail(stack: Stack, request_id: str, last: str) -> list[dict[str, Any]]:
    """The lines of the workers' log that carry the request id, once the last of them is there.

    A receipt may be read before the line on its end is written.
    """

    def found() -> list[dict[str, Any]] | None:
        text = (stack.data_dir / "logs" / "worker.log").read_text()
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("}\n")]
        lines = [json.loads(line) for line in whole if request_id in line]
        mine = [line for line in lines if line.get("request_id") == request_id]
        return mine if any(line.get("status") == last for line in mine) else None

    return poll(found, description=f"the log has {last} of {request_id}", within_s=WITHIN_S)


def test_a_request_is_found_in_the_workers_log(stack: Stack, api: httpx.Client) -> None:
    request_id = f"trail-{secrets.token_hex(8)}"
    task = ended(api, "test_flaky", request_id)
    assert task["status"] == "COMPLETED"

    lines = trail(stack, request_id, "COMPLETED")

    moves = [line for line in lines if line["event"] == "task.moved"]
    assert [line["status"] for line in moves] == ["PENDING", "PENDING", "COMPLETED"]
    of_library = [line for line in lines if line["logger"] == "library"]
    assert [line["attempt"] for line in of_library] == [1, 2, 3]
    for line in lines:
        assert line["task_id"] == task["task_id"]
        assert line["task_type"] == "test_flaky"
        assert line["namespace_id"] == task["namespace_id"]


def test_the_next_task_of_a_worker_carries_nothing_of_the_last(
    stack: Stack, api: httpx.Client
) -> None:
    trails = [f"trail-{secrets.token_hex(8)}" for _ in range(2)]
    ids = [ended(api, "test_idle", request_id)["task_id"] for request_id in trails]
    for request_id, task_id in zip(trails, ids, strict=True):
        assert {line["task_id"] for line in trail(stack, request_id, "SKIPPED")} == {task_id}


def test_metrics_tell_of_a_running_stack(stack: Stack, api: httpx.Client) -> None:
    ended(api, "test_idle", "metrics")

    def samples() -> dict[tuple[str, tuple[str, ...]], float]:
        text = httpx.get(f"{stack.api_url}/metrics", timeout=30).raise_for_status().text
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def told() -> bool:
        now = samples()
        skipped = now.get(("waybill_task_transitions_total", ("SKIPPED", "test_idle")), 0)
        ups = {labels[0]: up for (name, labels), up in now.items() if name == "waybill_up"}
        return skipped >= 1 and set(ups.values()) == {1.0}

    poll(told, description="the task is counted and all is well", within_s=WITHIN_S)
    now = samples()
    assert now["waybill_worker_slots", ("waybill.jobs",)] >= 2
    assert now["waybill_workers", ("waybill.control",)] >= 1
    assert now["waybill_beat_tick_age_seconds", ()] >= 0
    assert {labels for name, labels in now if name == "waybill_event_lag_seconds"} == {
        ("expansion",),
        ("dispatch",),
    }
    assert ("waybill_queue_messages", ("waybill.jobs",)) in now


def test_the_doctor_finds_a_running_stack_well(stack: Stack) -> None:
    command = [WAYBILL, "doctor", "--ready-file", str(stack.data_dir / "ready.json"), "--json"]

    def examined() -> dict[str, Any] | None:
        done = subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        assert stack.api_key not in done.stdout
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (1 if report["verdict"] == "FAIL" else 0)
        return report if report["verdict"] != "FAIL" else None

    # What another test has just killed may be on its way back.
    report = poll(examined, description="the doctor finds nothing that fails", within_s=WITHIN_S)
    verdicts = {each["check"]: each["verdict"] for each in report["checks"]}
    parts = ("mongodb.indexes", "redis.eviction", "postgres", "workers.jobs", "beat", "api")
    assert {name: verdicts[name] for name in parts} == dict.fromkeys(parts, "OK")
    assert verdicts["flower"] == "OK"


def test_the_doctor_refuses_what_is_no_ready_file(stack: Stack) -> None:
    command = [WAYBILL, "doctor", "--ready-file", str(stack.data_dir / "up.out")]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("is not what `waybill up --ready-file` writes")
