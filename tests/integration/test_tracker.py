"""ProcessingTracker on a real PostgreSQL: its whole life over each client, and each known trap."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pg8000
import psycopg
import pytest
from psycopg2.pool import ThreadedConnectionPool
from psycopg_pool import ConnectionPool

from app.tracking.client import RowsAwayError
from app.tracking.pool import LazyPool
from app.tracking.tracker import ProcessingTracker
from tests.integration.tracking import CLIENTS, begin, cut, rows, run, tracking
from tests.polling import poll

FAITHFUL: dict[str, Any] = {
    "text": 'Zoë\'s "Straße" \\ 日本 🚲 %s %% {}',
    "numbers": [0, -1, 1.5, 1e-7, 1e23, -1.7976931348623157e308, 5e-324, 10**40, True, None],
    "nested": {"": [[], {}], "a.b": {"c": [1, {"d": "e"}]}},
}
REFERENCES = ['s3://bucket/Zoë\'s "file".csv', "日本/🚲", "%s; DROP TABLE --", "x" * 2048]


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_whole_life_over_each_client(kind: str, postgres_url: str) -> None:
    with ExitStack() as opened:
        tracker = ProcessingTracker("shop", "embed", CLIENTS[kind](postgres_url, opened))
        opened.callback(tracker.close)
        before = datetime.now(UTC)
        started = tracker.start_event("run-1", FAITHFUL, input_rows=10)
        assert started is not None
        assert uuid.UUID(started).version == 4
        assert tracker.get_processing_id("run-1") == started
        assert tracker.start_event("run-1", {"other": 1}) == started
        event = tracker.get_event(started)
        assert event is not None
        assert event == tracker.get_event("run-1", "reference")
        assert (event.service_name, event.processor_name) == ("shop", "embed")
        assert (event.reference, event.input_rows, event.output_rows) == ("run-1", 10, None)
        assert (event.event, event.status, event.ended_at) == (FAITHFUL, "in-progress", None)
        assert before <= event.started_at <= datetime.now(UTC)
        assert event.started_at.utcoffset() == timedelta(0)
        event.check_init()

        assert tracker.end_event(started, status_note="7 of 10", output_rows=7) is True
        assert tracker.end_event(started) is False
        assert tracker.get_processing_id("run-1") is None
        ended = tracker.get_event(started)
        assert ended is not None
        assert ended.ended_at is not None
        assert (ended.status, ended.status_note, ended.output_rows) == ("success", "7 of 10", 7)
        assert event.started_at == ended.started_at <= ended.ended_at <= datetime.now(UTC)
        assert ended.ended_at.utcoffset() == timedelta(0)
        ended.check_init()

        again = tracker.start_event("run-1", {})
        assert again is not None
        assert again != started
        assert tracker.end_event(again, success=False) is True
        latest = tracker.get_event("run-1", "reference")
        assert latest is not None
        assert (latest.processing_id, latest.status) == (again, "failure")
        assert tracker.get_event(str(uuid.uuid4())) is None
        assert tracker.get_event("no-such-run", "reference") is None
        assert tracker.end_event(str(uuid.uuid4())) is False
        assert len(rows(postgres_url)) == 2


def test_a_start_that_meets_a_running_row_returns_the_id_that_the_table_holds(
    postgres_url: str,
) -> None:
    with tracking(postgres_url) as tracker:
        tracker.start_event("warm", {})
        elsewhere = stored_elsewhere(postgres_url, "run-1")
        assert tracker.start_event("run-1", {"mine": 1}, input_rows=3) == elsewhere
        event = tracker.get_event(elsewhere)
        assert event is not None
        assert (event.event, event.input_rows) == ({"of": "another"}, None)
        assert tracker.get_processing_id("run-1") == elsewhere
        assert tracker.end_event(elsewhere) is True
    assert [row["processing_id"] for row in rows(postgres_url)][1:] == [elsewhere]


def test_threads_that_start_one_reference_at_once_get_one_id(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker, ThreadPoolExecutor(16) as threads:
        together = threading.Barrier(16)

        def start(number: int) -> str | None:
            together.wait()
            return tracker.start_event("run-1", {"number": number})

        (found,) = set(threads.map(start, range(16)))
        assert found == tracker.get_processing_id("run-1")
        assert list(tracker._running_job_ids) == [found]
        assert [row["processing_id"] for row in rows(postgres_url)] == [found]


def test_of_many_ends_at_once_one_is_true(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker, ThreadPoolExecutor(16) as threads:
        started = begin(tracker, "run-1")
        together = threading.Barrier(16)

        def end(number: int) -> bool:
            together.wait()
            return tracker.end_event(started, success=number % 2 == 0, status_note=str(number))

        assert sorted(threads.map(end, range(16))) == [False] * 15 + [True]


def test_an_end_is_false_for_an_unknown_id_one_that_ended_and_one_of_another_processor(
    postgres_url: str,
) -> None:
    with tracking(postgres_url) as tracker, tracking(postgres_url, processor="other") as other:
        started = begin(tracker, "run-1")
        assert other.end_event(started) is False
        assert other.get_event(started) is None
        for unknown in (str(uuid.uuid4()), "no id", "", started[:-1]):
            assert tracker.end_event(unknown) is False
            assert tracker.get_event(unknown) is None
        assert tracker.end_event(started.upper(), success=False) is True
        assert tracker.end_event(started) is False
        tracker._failed_job_ids.discard(started)  # as after its 600 seconds
        assert tracker.end_event(started) is False
        assert rows(postgres_url)[0]["status"] == "failure"


def test_ended_ids_are_remembered_by_their_outcome(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        good, bad = begin(tracker, "good"), begin(tracker, "bad")
        assert set(tracker._running_job_ids) == {good, bad}
        tracker.end_event(good)
        tracker.end_event(bad, success=False)
        assert list(tracker._finished_job_ids) == [good]
        assert list(tracker._failed_job_ids) == [bad]
        assert tracker._running_job_ids == {}


def test_a_write_that_fails_leaves_the_run_to_be_ended_again(postgres_url: str) -> None:
    kwargs = {"options": "-c lock_timeout=100"}
    with ConnectionPool(postgres_url, kwargs=kwargs, min_size=0, max_size=2, open=True) as pool:
        tracker = ProcessingTracker("shop", "embed", pool)
        started = begin(tracker, "run-1")
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT 1 FROM datastore.processing_events FOR UPDATE")
            assert tracker.end_event(started) is False
            assert tracker.get_processing_id("run-1") == started
            event = tracker._running_job_ids[started]
            assert (event.status, event.ended_at) == ("in-progress", None)
        assert tracker.end_event(started, output_rows=5) is True
        assert rows(postgres_url)[0]["output_rows"] == 5
        tracker.close()


def test_a_run_of_a_process_that_has_restarted_is_read_and_ended(postgres_url: str) -> None:
    with tracking(postgres_url) as before:
        started = begin(before, "run-1")
    with tracking(postgres_url) as tracker:
        assert tracker is not before
        assert tracker.get_processing_id("run-1") is None  # it runs, but not here
        event = tracker.get_event("run-1", "reference")
        assert event is not None
        assert (event.processing_id, event.status) == (started, "in-progress")
        assert tracker.end_event(started, status_note="by its heir", output_rows=2) is True
        ended = tracker.get_event(started)
        assert ended is not None
        assert (ended.status, ended.status_note, ended.output_rows) == ("success", "by its heir", 2)


@pytest.mark.parametrize("success", [True, False])
def test_get_event_of_an_ended_run_reads_the_row_within_the_ttl_and_after(
    postgres_url: str, success: bool
) -> None:
    with tracking(postgres_url) as tracker:
        started = begin(tracker, "run-1")
        tracker.end_event(started, success=success)
        ids = tracker._finished_job_ids if success else tracker._failed_job_ids
        assert started in ids
        for note in ("within", "after"):
            run(postgres_url, "UPDATE datastore.processing_events SET status_note = %s", note)
            event = tracker.get_event(started)
            assert event is not None
            assert event.status_note == note
            assert tracker.get_event("run-1", "reference") == event
            ids.discard(started)


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ({"a": [1, "b\0c"]}, r"event\['a'\]\[1\]"),
        ({"a": float("nan")}, r"event\['a'\]"),
        ({"at": datetime.now(UTC)}, "isoformat"),
        ("no dict", "must be a dict"),
    ],
)
def test_an_event_that_jsonb_cannot_hold_is_refused_with_its_place(
    event: Any, place: str, postgres_url: str
) -> None:
    with tracking(postgres_url) as tracker:
        with pytest.raises(ValueError, match=place):
            tracker.start_event("run-1", event)
        assert tracker.get_event("run-1", "reference") is None
        assert tracker._running_job_ids == {}


def test_references_and_large_events_are_stored_faithfully(postgres_url: str) -> None:
    large = {"rows": [{"number": n, "text": "ä" * 1_000} for n in range(5_000)]}
    with tracking(postgres_url) as tracker:
        for reference in REFERENCES:
            started = begin(tracker, reference)
            assert tracker.get_processing_id(reference) == started
            event = tracker.get_event(reference, "reference")
            assert event is not None
            assert event.reference == reference
        run_id = tracker.start_event("large", large)
        found = tracker.get_event(run_id or "")
        assert found is not None
        assert found.event == large
        for wrong in ("a\0b", "\ud800", " ", "ä" * 1_025, 7):
            with pytest.raises(ValueError, match="reference"):
                tracker.start_event(wrong, {})  # type: ignore[arg-type]
            assert tracker.get_event(wrong, "reference") is None  # type: ignore[arg-type]


def test_the_longest_names_fit_every_index(postgres_url: str) -> None:
    longest = "".join(uuid.uuid4().hex for _ in range(64))  # what repeats would be compressed
    with tracking(postgres_url, service=longest[:255], processor=longest[-255:]) as tracker:
        started = tracker.start_event(longest, {"namespace_id": longest})
        assert started is not None
        assert tracker.end_event(started) is True


@pytest.mark.parametrize("note", ["a\0b", "\ud800", "x" * 100_000, ValueError("an error")])
def test_no_note_keeps_a_run_from_being_ended(note: Any, postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        started = begin(tracker, "run-1")
        assert tracker.end_event(started, success=False, status_note=note) is True
        event = tracker.get_event(started)
        assert event is not None
        assert event.status_note
        assert event.status_note[:1] == str(note).replace("\ud800", "\ufffd")[:1]


def test_counts_are_checked_before_anything_is_stored(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        for wrong in (-1, 1.5, True, 2**63, "1"):
            with pytest.raises(ValueError, match="input_rows"):
                tracker.start_event("run-1", {}, wrong)  # type: ignore[arg-type]
        started = begin(tracker, "run-1")
        with pytest.raises(ValueError, match="output_rows"):
            tracker.end_event(started, output_rows=-1)
        assert tracker.end_event(started, output_rows=2**63 - 1) is True


def test_a_slow_statement_stops_no_other_thread(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker, ThreadPoolExecutor(1) as thread:
        slow, quick = begin(tracker, "slow"), begin(tracker, "quick")
        with psycopg.connect(postgres_url) as other:
            other.execute(
                "SELECT 1 FROM datastore.processing_events WHERE processing_id = %s FOR UPDATE",
                (slow,),
            )
            ending = thread.submit(tracker.end_event, slow)
            poll(lambda: waits_for_a_lock(postgres_url), description="it waits", within_s=30)
            assert tracker.get_processing_id("quick") == quick
            assert tracker.end_event(quick) is True
            assert tracker.end_event(begin(tracker, "third")) is True
            assert tracker.get_event(slow) is not None
            assert not ending.done()
        assert ending.result(30) is True


def test_while_postgres_is_away_memory_answers_for_what_runs_here(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tracker = ProcessingTracker("shop", "embed", connection)
        started = begin(tracker, "run-1")
        connection.close()
        event = tracker.get_event(started)
        assert event is not None
        assert event == tracker.get_event("run-1", "reference")
        assert (event.processing_id, event.status) == (started, "in-progress")
        event.event["changed"] = True
        assert tracker._running_job_ids[started].event == {}
        assert tracker.start_event("run-2", {}) is None
        assert tracker.end_event(started) is False
        assert tracker.get_processing_id("run-1") == started
        with pytest.raises(RowsAwayError):
            tracker.get_event(str(uuid.uuid4()))
        tracker.close()


@pytest.mark.parametrize("kind", [each for each in CLIENTS if "connection" in each])
def test_a_connection_that_broke_is_told_to_be_lost_for_good(kind: str, postgres_url: str) -> None:
    with ExitStack() as opened:
        opened.enter_context(suppress(pg8000.Error))  # it cannot even be closed
        tracker = ProcessingTracker("shop", "embed", CLIENTS[kind](postgres_url, opened))
        opened.callback(tracker.close)
        started = begin(tracker, "run-1")
        cut(postgres_url)
        for _ in range(2):
            with pytest.raises(RowsAwayError, match=r"lost for good: .* another connection"):
                tracker.get_event(str(uuid.uuid4()))
        assert tracker.end_event(started) is False
        tracker.close()
        with psycopg.connect(postgres_url) as another:
            anew = ProcessingTracker("shop", "embed", another)
            assert anew.end_event(started) is True
            anew.close()


def test_a_pool_whose_connections_all_broke_costs_no_call(postgres_url: str) -> None:
    with (
        closing(LazyPool(postgres_url, most=4)) as lazy,
        ConnectionPool(postgres_url, min_size=4, open=True) as pool,
        ExitStack() as opened,
    ):
        psycopg2_pool = ThreadedConnectionPool(4, 4, postgres_url)
        opened.callback(psycopg2_pool.closeall)
        for client in (lazy, pool, psycopg2_pool):
            tracker = ProcessingTracker("shop", type(client).__name__, client)
            started = begin(tracker, "run-1")
            for each in [client.getconn() for _ in range(3)]:
                client.putconn(each)
            cut(postgres_url)
            assert begin(tracker, "run-2")
            assert tracker.end_event(started) is True
            tracker.close()


def test_of_a_reference_the_run_in_progress_is_found_whatever_its_time(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        assert tracker.end_event(begin(tracker, "run-1")) is True
        ahead = "started_at = now() + interval '1 hour', ended_at = now() + interval '2 hours'"
        run(postgres_url, f"UPDATE datastore.processing_events SET {ahead}")
        started = begin(tracker, "run-1")
        event = tracker.get_event("run-1", "reference")
        assert event is not None
        assert (event.processing_id, event.status) == (started, "in-progress")


def test_what_the_caller_changes_later_is_not_the_event(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        event: dict[str, Any] = {"keys": ["a"]}
        started = tracker.start_event("run-1", event) or ""
        event["keys"].append("b")
        found = tracker.get_event(started)
        assert found is not None
        assert found.event == {"keys": ["a"]}
        assert tracker._running_job_ids[started].event == {"keys": ["a"]}


def test_another_type_of_id_is_refused(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker, pytest.raises(ValueError, match="id_type='task'"):
        tracker.get_event("run-1", "task")  # type: ignore[arg-type]


def stored_elsewhere(url: str, reference: str) -> str:
    """A run of a process that lives elsewhere, and has just stored it."""
    processing_id = str(uuid.uuid4())
    run(
        url,
        "INSERT INTO datastore.processing_events (processing_id, service_name, processor_name,"
        " reference, event, status, started_at, owner_id)"
        " VALUES (%s, 'shop', 'embed', %s, jsonb_build_object('of', 'another'), 'in-progress',"
        " now(), 'another')",
        processing_id,
        reference,
    )
    return processing_id


def waits_for_a_lock(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
        return found is not None and found[0] > 0
