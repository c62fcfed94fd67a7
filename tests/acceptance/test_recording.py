"""Each attempt of each job is one row in PostgreSQL, also while PostgreSQL is away."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import psutil
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.stack import Stack
from waybill.types import Task

pytestmark = pytest.mark.timeout(240)

WITHIN_S: Final = 90.0
OBJECTS: Final = 250  # in chunks of 100

Row = dict[str, Any]


def rows_of(stack: Stack, namespace_id: str) -> list[Row]:
    """The runs of a namespace by their start; none while PostgreSQL is away."""
    query = (
        "SELECT *, extract(epoch FROM ended_at - started_at) AS duration_s"
        " FROM datastore.processing_events WHERE namespace_id = %s ORDER BY started_at"
    )
    try:
        with psycopg.connect(stack.postgres_url, row_factory=dict_row) as connection:
            return connection.execute(query, (namespace_id,)).fetchall()
    except psycopg.OperationalError:
        return []


def recorded(stack: Stack, namespace_id: str, *, count: int) -> list[Row]:
    """The runs, once they are so many and have all ended."""

    def found() -> list[Row]:
        rows = rows_of(stack, namespace_id)
        whole = len(rows) >= count and all(row["ended_at"] for row in rows)
        return rows if whole else []

    return poll(found, description=f"{count} runs are in the table", within_s=WITHIN_S)


def brief(rows: list[Row], task: Task) -> list[tuple[str, str, str | None]]:
    return [
        (row["reference"].removeprefix(task["task_id"]), row["status"], row["status_note"])
        for row in rows
        if row["task_id"] == task["task_id"]
    ]


def test_the_attempts_of_jobs_are_rows(shop: Shop, stack: Stack) -> None:
    batch = shop.submit(shop.batch(shop.add(text_object(str(n)) for n in range(OBJECTS))))
    flaky, hopeless, idle = (
        shop.client.tasks.submit(kind, ["größer", 1])
        for kind in ("test_flaky", "test_hopeless", "test_idle")
    )
    for task in (batch, flaky, hopeless, idle):
        shop.ended(task)

    rows = recorded(stack, batch["namespace_id"], count=10)

    assert brief(rows, batch) == [
        ("/1", "success", "split into 3 tasks"),
        ("/1/conclusion", "success", None),
    ]
    whole = [row["output_rows"] for row in rows if row["task_id"] == batch["task_id"]]
    assert whole == [None, None]  # the rows are the chunks'
    chunks = [row for row in rows if row["input_rows"] is not None]
    assert sorted((row["input_rows"], row["output_rows"]) for row in chunks) == [
        (50, 50),
        (100, 100),
        (100, 100),
    ]
    assert {row["status"] for row in chunks} == {"success"}
    assert [step[:2] for step in brief(rows, flaky)] == [
        ("/1", "failure"),
        ("/2", "failure"),
        ("/3", "success"),
    ]
    assert "the line went dead" in str(brief(rows, flaky)[0][2])
    assert brief(rows, hopeless) == [("/1", "failure", "The moon is not made of cheese.")]
    assert brief(rows, idle) == [("/1", "success", "skipped: There was nothing to do.")]
    (row,) = (row for row in rows if row["task_id"] == idle["task_id"])
    assert (row["service_name"], row["processor_name"]) == ("waybill", "test_idle")
    assert row["event"] == {
        "namespace_id": idle["namespace_id"],
        "task_id": idle["task_id"],
        "attempt": 1,
        "inputs": ["größer", 1],
    }
    assert all(0 <= row["duration_s"] < WITHIN_S for row in rows)
    assert len({row["reference"] for row in rows}) == len(rows)


def test_a_run_whose_process_is_killed_is_closed(shop: Shop, stack: Stack) -> None:
    task = shop.client.tasks.submit("test_slow", [3_000])
    namespace_id = task["namespace_id"]
    poll(lambda: rows_of(stack, namespace_id), description="it runs", within_s=WITHIN_S)
    for child in psutil.Process(stack.pid("worker")).children():
        child.kill()
    row = poll(
        lambda: next(
            (
                row
                for row in rows_of(stack, namespace_id)
                if row["reference"] == f"{task['task_id']}/1" and row["ended_at"]
            ),
            None,
        ),
        description="the run of the attempt that was killed has an end",
        within_s=WITHIN_S,
    )
    shop.client.tasks.kill(task["task_id"])
    assert row["status"] == "failure"
    assert row["status_note"].startswith("abandoned: process ")


def test_jobs_go_on_without_postgresql_and_their_rows_come_later(shop: Shop, stack: Stack) -> None:
    before = shop.client.tasks.submit("test_slow", [5])
    with without_postgres(stack):
        batch = shop.submit(shop.batch(shop.add(text_object(str(n)) for n in range(OBJECTS))))
        tasks = [shop.client.tasks.submit("test_idle") for _ in range(20)]
        for task in (before, batch, *tasks):
            assert shop.ended(task)["status"] in ("COMPLETED", "SKIPPED")
        finding = poll(
            lambda: waits_on_disk(stack), description="health tells of it", within_s=WITHIN_S
        )
        assert finding["status"] == "DEGRADED"
        assert finding["detail"].startswith("does not answer; ")

    rows = recorded(stack, batch["namespace_id"], count=1 + 20 + 5)

    references = [row["reference"] for row in rows]
    assert len(references) == len(set(references)) == 1 + 20 + 5
    assert {row["status"] for row in rows} == {"success"}


def waits_on_disk(stack: Stack) -> dict[str, str] | None:
    """What health says of PostgreSQL, once it knows what waits."""
    health = httpx.get(f"{stack.api_url}/v1/health", timeout=30).json()
    finding: dict[str, str] = health["components"]["postgres"]
    return finding if "wait on disk" in finding["detail"] else None


@contextmanager
def without_postgres(stack: Stack) -> Iterator[None]:
    """PostgreSQL is down within the block: whoever would start it again is frozen."""
    stack.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(stack.pid("postgres"), signal.SIGKILL)
        yield
    finally:
        stack.process.send_signal(signal.SIGCONT)
