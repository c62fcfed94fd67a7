"""What ran in a stack is there to be read: by API, command, client and SQL."""

import json
import re
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.command import Command
from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.stack import Stack
from waybill import Client
from waybill.types import Run

DOCUMENT = Path(__file__).parents[2] / "docs" / "runs.md"
BATCH = "api_buckets_batches_process"
CHUNK = f"{BATCH}.chunk"

pytestmark = pytest.mark.timeout(180)


def ended(client: Client, count: int) -> list[Run]:
    """The namespace's runs once so many have ended: they come to PostgreSQL a moment later."""
    found: list[Run] = []

    def are_there() -> bool:
        found[:] = client.runs.list(include_event=True)
        return sum(run["status"] != "in-progress" for run in found) >= count

    poll(are_there, description=f"{count} runs have ended", within_s=60)
    return found


def test_runs_agree_with_what_ran(
    client: Client, command: Command, shop: Shop, stack: Stack
) -> None:
    """150 objects in chunks of 100: a batch that is split in two, and a job that fails."""
    _, task = shop.process(shop.add([text_object(f"text {i}") for i in range(150)]))
    failed = command.run("tasks", "submit", "test_hopeless", "--wait", "--json").row
    runs = ended(client, 5)
    parts = {each["task_id"] for each in client.tasks.list(parent_task_id=task["task_id"])}
    expected = {task["task_id"]: 2, failed["task_id"]: failed["attempt"]} | dict.fromkeys(parts, 1)
    assert Counter(run["task_id"] for run in runs) == expected
    assert len(parts) == 2

    for run in runs:
        receipt = client.tasks.get(str(run["task_id"]))
        shared = ("task_id", "task_type", "status", "attempt", "error_message", "ended_at")
        assert run["task"] is not None
        assert {key: run["task"].get(key) for key in shared} == {
            key: dict(receipt)[key] for key in shared
        }
        assert (run["processor_name"], run["attempt"]) == (receipt["task_type"], receipt["attempt"])
        assert run["event"] == {
            "namespace_id": receipt["namespace_id"],
            "task_id": receipt["task_id"],
            "attempt": receipt["attempt"],
            "inputs": receipt["inputs"],
        }
        assert run["status"] == ("failure" if receipt["status"] == "FAILED" else "success")
    chunks = client.runs.list(processor=CHUNK)
    assert sum(run["output_rows"] or 0 for run in chunks) == 150
    (legs,) = [sorted(r["reference"] for r in client.runs.list(task_id=task["task_id"]))]
    assert legs == [f"{task['task_id']}/1", f"{task['task_id']}/1/conclusion"]

    days = client.runs.stats()["results"]
    assert Counter({day["processor_name"]: day["failures"] for day in days}) == {
        BATCH: 0,
        CHUNK: 0,
        "test_hopeless": failed["attempt"],
    }
    assert sum(day["runs"] for day in days) == len(runs)

    # The command prints what the API says, and completes processors.
    assert command.ok("runs", "list", "--processor", CHUNK, "--json").rows == json.loads(
        json.dumps(list(client.runs.list(processor=CHUNK)))
    )
    run_id = command.ok(
        "runs", "list", "--task", failed["task_id"], "-q", "--limit", "1"
    ).out.strip()
    assert command.ok("runs", "show", run_id, "--json").row == client.runs.get(run_id)
    shown = command.ok("runs", "show", run_id).out
    assert failed["task_id"] in shown
    assert "failure" in shown
    table = command.ok("runs", "stats", "--since", "1h", "--processor", "test_hopeless").out
    assert "100.0%" in table
    assert command.ok("runs", "list", "--status", "in-progress", "-q").out == ""
    assert command.run("runs", "show", "nothing").code == 4

    # So does the view, by the question that the document asks of it.
    (asked,) = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    with psycopg.connect(stack.postgres_url) as connection:
        rows = connection.execute(asked.encode()).fetchall()
        assert rows
        connection.execute("SET search_path TO datastore")
        one = "SELECT attempt, is_conclusion, event FROM task_runs WHERE task_id = %s ORDER BY 2"
        legs_there = connection.execute(one, (task["task_id"],)).fetchall()
    assert [(attempt, last) for attempt, last, _ in legs_there] == [(1, False), (1, True)]
