"""Runs over HTTP: which are seen, page by page, with their receipts, and summed up."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import psycopg
import pytest

from app.access.permission import Permission
from app.main import create_app
from app.settings import Settings
from app.stores import Stores
from tests.integration.both_clients import KINDS, Kind, opened
from tests.integration.conftest import serving
from tests.integration.receipts import new_task
from tests.integration.resources import ClientMaker, Json, error, made, places
from tests.integration.runs import add_run, migrate
from tests.integration.test_client import check
from waybill import types

START: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def settings(settings: Settings, postgres_url: str) -> Settings:
    migrate(postgres_url)
    return settings.model_copy(update={"postgres_url": postgres_url})


@pytest.fixture
def namespaces(client: httpx.Client) -> tuple[str, str]:
    """The ids of two."""
    first, second = (
        made(client.post("/v1/namespaces", json={"namespace_name": name}))["namespace_id"]
        for name in ("ours", "theirs")
    )
    return first, second


def ids(response: httpx.Response) -> list[str]:
    return [row["processing_id"] for row in made(response)["results"]]


def test_a_run_with_its_receipt_as_it_is_now(
    client: httpx.Client, stores: Stores, postgres_url: str, namespaces: tuple[str, str]
) -> None:
    ours, theirs = namespaces
    task = stores.ledger.receipts.create([new_task(namespace_id=ours)])[0]
    reference = f"{task.task_id}/2/conclusion"
    event: Json = {"namespace_id": ours, "inputs": ["ä", None, {"deep": [1.5]}]}
    processing_id = add_run(
        postgres_url, START, reference=reference, event=event, rows=(7, 2**62), duration_s=2.25
    )
    run = made(client.get(f"/v1/runs/{processing_id}"))
    assert run == {
        "processing_id": processing_id,
        "service_name": "waybill",
        "processor_name": "embed",
        "reference": reference,
        "status": "success",
        "status_note": None,
        "input_rows": 7,
        "output_rows": 2**62,
        "started_at": "2026-01-31T12:00:00.000Z",
        "ended_at": "2026-01-31T12:00:02.250Z",
        "duration_s": 2.25,
        "namespace_id": ours,
        "task_id": task.task_id,
        "attempt": 2,
        "task": {
            "task_id": task.task_id,
            "task_type": "test_job",
            "status": "PENDING",
            "attempt": 0,
            "max_attempts": 3,
            "error_message": None,
            "created_at": run["task"]["created_at"],
            "ended_at": None,
        },
        "event": event,
    }
    listed = made(client.get("/v1/runs"))["results"]
    assert listed == [{key: run[key] for key in run if key != "event"}]
    assert made(client.get("/v1/runs", params={"include_event": True}))["results"] == [run]

    # Whoever writes rows names what they like: that opens no receipt of another namespace.
    add_run(postgres_url, START, reference=reference, event={"namespace_id": theirs})
    add_run(postgres_url, START, reference=reference)
    add_run(postgres_url, START, reference="tsk_gone/1", event={"namespace_id": ours})
    shown = made(client.get("/v1/runs"))["results"]
    assert sorted(row["task_id"] for row in shown) == sorted([task.task_id] * 3 + ["tsk_gone"])
    assert [row["namespace_id"] for row in shown if row["task"]] == [ours]

    long = add_run(postgres_url, START, processor_name="long", event={"text": "x" * 20_000})
    (row,) = made(client.get("/v1/runs?processor=long&include_event=true"))["results"]
    assert row["event"] is None
    assert len(made(client.get(f"/v1/runs/{long}"))["event"]["text"]) == 20_000
    for unknown in ("nothing", "0b3e9c4e-6f6f-4c6e-9d5f-3b0f6f1f7c11"):
        assert unknown in error(client.get(f"/v1/runs/{unknown}"), 404, "NotFoundError")["message"]


def test_events_that_no_reader_of_json_reads(client: httpx.Client, postgres_url: str) -> None:
    """PostgreSQL holds what Python's JSON does not; only SQL of one's own writes it."""
    deep, deeper, deepest = ('{"a":' * depth + "1" + "}" * depth for depth in (200, 201, 2_000))
    long, short = (f'{{"a": {"9" * digits}}}' for digits in (5_000, 4_000))
    with psycopg.connect(postgres_url) as connection:
        for text, is_read in ((deep, 1), (deeper, 0), (deepest, 0), (long, 0), (short, 1)):
            processing_id = add_run(postgres_url, START)
            connection.execute(
                "UPDATE datastore.processing_events SET event = %s WHERE processing_id = %s",
                (text, processing_id),
            )
            connection.commit()
            listed = made(client.get("/v1/runs", params={"include_event": True, "limit": 1}))
            run = made(client.get(f"/v1/runs/{processing_id}"))
            assert run["event"] == (json.loads(text) if is_read else None), text[:10]
            assert listed["results"] == [run]
            connection.execute("DELETE FROM datastore.processing_events")
            connection.commit()


def test_filters(client: httpx.Client, postgres_url: str) -> None:
    add_run(postgres_url, START - timedelta(days=1), reference="other")
    wanted = add_run(
        postgres_url,
        START,
        service_name="shop",
        processor_name="größe 'n' %",
        reference="tsk_1/1",
        status="failure",
        status_note="3 of 5",
    )
    running = add_run(postgres_url, START + timedelta(days=1), status="in-progress")
    for asked in (
        {"service": "shop"},
        {"processor": "größe 'n' %"},
        {"status": "failure"},
        {"reference": "tsk_1/1"},
        {"task_id": "tsk_1"},
        {"since": "2026-01-31T12:00:00Z", "until": "2026-01-31T13:00:00.001+01:00"},
    ):
        assert ids(client.get("/v1/runs", params=asked)) == [wanted], asked
    nobody = {"service": "shop", "status": "success"}
    assert ids(client.get("/v1/runs", params=nobody)) == []
    found = made(client.get("/v1/runs", params={"since": "2026-01-31T12:00:00Z"}))["results"]
    assert [row["processing_id"] for row in found] == [running, wanted]
    assert [found[0][key] for key in ("ended_at", "duration_s")] == [None, None]
    assert found[1]["status_note"] == "3 of 5"


def test_pages(client: httpx.Client, postgres_url: str, namespaces: tuple[str, str]) -> None:
    """All started in the same moment, which is no whole millisecond."""
    at = START + timedelta(microseconds=123_456)
    stored = {
        add_run(postgres_url, at, event={"namespace_id": each})
        for each in (*namespaces, *namespaces, *namespaces)
    } | {add_run(postgres_url, at)}
    whole = made(client.get("/v1/runs", params={"include_total": True, "limit": 1_000}))
    assert whole["pagination"]["total"] == len(whole["results"]) == len(stored)
    for key in ("next_cursor", "page"):
        first = made(client.get("/v1/runs", params={"limit": 2, "include_event": False}))
        rows, page = first["results"], first["pagination"]
        number = 1
        while page["next_cursor"]:
            number += 1
            place = {"cursor": page["next_cursor"]} if key == "next_cursor" else {"page": number}
            following = made(client.get("/v1/runs", params={"limit": 2, **place}))
            rows, page = rows + following["results"], following["pagination"]
        assert rows == whole["results"]
    linked = made(client.get(first["pagination"]["next_page"]))
    assert linked["results"] == whole["results"][2:4]

    cursor = first["pagination"]["next_cursor"]
    ours = {"X-Namespace": namespaces[0]}
    for params, headers in (
        ({"cursor": cursor, "status": "success"}, {}),
        ({"cursor": cursor}, ours),
        ({"cursor": "nonsense"}, {}),
        ({"cursor": cursor, "page": 3}, {}),
        ({"search": "x"}, {}),
        ({"since": "yesterday"}, {}),
        ({"status": "done"}, {}),
        ({"unheard_of": "x"}, {}),
        ({"reference": "nul\0"}, {}),
        ({"limit": 1_001}, {}),
    ):
        refused = client.get("/v1/runs", params=params, headers=headers)
        assert places(error(refused, 422, "ValidationError")), params


def test_who_sees_what(
    client: httpx.Client,
    client_for: ClientMaker,
    postgres_url: str,
    namespaces: tuple[str, str],
) -> None:
    ours, theirs = namespaces
    mine, foreign, nobodys = (
        add_run(postgres_url, START, event={} if each is None else {"namespace_id": each})
        for each in (ours, theirs, None)
    )
    everything = {mine, foreign, nobodys}
    reader = client_for(Permission.READ)
    assert set(ids(reader.get("/v1/runs"))) == everything
    limited = client_for(Permission.READ, [ours])
    both = client_for(Permission.READ, [ours, theirs])
    within = client_for(Permission.READ, [ours, theirs], namespace="ours")
    for caller, seen in (
        (limited, {mine}),
        (both, {mine, foreign}),
        (within, {mine}),
        (client_for(namespace="theirs"), {foreign}),
    ):
        assert set(ids(caller.get("/v1/runs"))) == seen
        total = made(caller.get("/v1/runs", params={"include_total": True}))["pagination"]["total"]
        assert total == len(seen)
        span = {"since": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
        (day,) = made(caller.get("/v1/runs/stats", params=span))["results"]
        assert day["runs"] == len(seen)
        for each in everything:
            response = caller.get(f"/v1/runs/{each}")
            assert (response.status_code == 200) is (each in seen)
    error(limited.get("/v1/runs", headers={"X-Namespace": theirs}), 404, "NotFoundError")

    # The rows of a deleted namespace stay; its keys open nothing, nor does one of the same name.
    made(client.delete(f"/v1/namespaces/{ours}"))
    made(client.post("/v1/namespaces", json={"namespace_name": "ours"}))
    for caller, seen in (
        (limited, set()),
        (both, {foreign}),
        (reader, everything),
        (client_for(namespace="ours"), set()),
    ):
        assert set(ids(caller.get("/v1/runs"))) == seen
        total = made(caller.get("/v1/runs", params={"include_total": True}))["pagination"]["total"]
        days = made(caller.get("/v1/runs/stats", params=span))["results"]
        assert sum(day["runs"] for day in days) == total == len(seen)
        assert (caller.get(f"/v1/runs/{mine}").status_code == 200) is (mine in seen)


def test_statistics(client: httpx.Client, postgres_url: str) -> None:
    for length, rows in ((1.0, (10, None)), (2.0, (None, 20)), (4.0, (None, None))):
        add_run(postgres_url, START, rows=rows, duration_s=length)
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    add_run(postgres_url, midnight - timedelta(milliseconds=1), status="failure", duration_s=3.0)
    add_run(postgres_url, midnight, status="in-progress")
    add_run(postgres_url, midnight, processor_name="other", service_name="shop")
    span = {"since": "2026-01-31T00:00:00Z", "until": "2026-02-02T00:00:00.000Z"}
    found = made(client.get("/v1/runs/stats", params=span))
    assert (found["since"], found["until"]) == ("2026-01-31T00:00:00.000Z", span["until"])
    assert [(row["day"], row["service_name"]) for row in found["results"]] == [
        ("2026-02-01", "shop"),
        ("2026-02-01", "waybill"),
        ("2026-01-31", "waybill"),
    ]
    *_, running, last = found["results"]
    assert (running["runs"], running["in_progress"], running["failure_rate"]) == (1, 1, None)
    assert last == {
        "service_name": "waybill",
        "processor_name": "embed",
        "day": "2026-01-31",
        "runs": 4,
        "in_progress": 0,
        "successes": 3,
        "failures": 1,
        "failure_rate": 0.25,
        "p50_s": 2.5,
        "p95_s": pytest.approx(3.85),
        "max_s": 4.0,
        "input_rows": 10,
        "output_rows": 20,
        "rows_per_second": 10.0,
    }
    chosen = {**span, "processor": "other", "service": "shop"}
    assert len(made(client.get("/v1/runs/stats", params=chosen))["results"]) == 1
    recent = add_run(postgres_url, datetime.now(UTC) - timedelta(days=6))
    add_run(postgres_url, datetime.now(UTC) - timedelta(days=8))
    (week,) = made(client.get("/v1/runs/stats"))["results"]
    assert (week["runs"], bool(recent)) == (1, True)
    # Ninety days by the caller's clock, which was read a moment before ours.
    longest = (datetime.now(UTC) - timedelta(days=90)).isoformat()
    made(client.get("/v1/runs/stats", params={"since": longest}))
    for wrong in (
        {"since": (datetime.now(UTC) - timedelta(days=91)).isoformat()},
        {"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
        {"since": "2025-01-01T00:00:00Z"},
        {"since": "0001-01-01T00:00:00Z"},
        {"until": "1970-01-01T00:00:00+14:00"},
        {"limit": "3"},
    ):
        error(client.get("/v1/runs/stats", params=wrong), 422, "ValidationError")


@pytest.mark.parametrize("kind", KINDS)
def test_both_clients(
    kind: Kind, api_url: str, client: httpx.Client, postgres_url: str, namespaces: tuple[str, str]
) -> None:
    ours, theirs = namespaces
    now = datetime.now(UTC)
    stored = [
        add_run(postgres_url, now - timedelta(hours=hours), event={"namespace_id": ours})
        for hours in range(5)
    ]
    add_run(postgres_url, now, event={"namespace_id": theirs}, processor_name="other")
    key = str(client.headers["Authorization"]).removeprefix("Bearer ")
    with opened(kind, api_url, key, namespace="ours") as waybill:
        rows = list(waybill.runs.list(page_size=2))
        assert [row["processing_id"] for row in rows] == stored
        check(rows[0], types.Run)
        since = (now - timedelta(hours=1, minutes=30)).isoformat()
        assert len(list(waybill.runs.list(since=since, status="success"))) == 2
        assert list(waybill.runs.list(processor="other")) == []
        page = waybill.runs.page(page_size=2, include_total=True, include_event=True)
        assert page["pagination"]["total"] == 5
        assert page["results"][0]["event"] == {"namespace_id": ours}
        following = waybill.runs.page(page_size=2, cursor=page["pagination"]["next_cursor"])
        assert following["results"] == rows[2:4]
        run = waybill.runs.get(stored[0])
        check(run, types.WholeRun)
        statistics = waybill.runs.stats(since=since, processor="embed")
        check(statistics, types.RunStatistics)
        assert sum(day["runs"] for day in statistics["results"]) == 2
        check(statistics["results"][0], types.RunStatistic)
    with opened(kind, api_url, key) as everywhere:
        assert len(list(everywhere.runs.list())) == 6


def test_a_server_without_postgresql_says_what_to_set(
    settings: Settings, client: httpx.Client
) -> None:
    without = settings.model_copy(update={"postgres_url": None})
    with serving(create_app(without)) as url:
        for path in ("", "/stats", "/0b3e9c4e-6f6f-4c6e-9d5f-3b0f6f1f7c11"):
            answer = httpx.get(f"{url}/v1/runs{path}", headers=client.headers)
            found = error(answer, 503, "ServiceUnavailableError")
            assert "WAYBILL_POSTGRES_URL" in found["message"]
