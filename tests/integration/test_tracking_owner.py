"""Runs of processes that died, and starts and ends whose answer was lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from app.tracking.abandonment import SILENT_AFTER_S, close_abandoned, close_of, close_silent
from app.tracking.client import RowsAwayError
from app.tracking.event import Outcome, ProcessingEvent
from app.tracking.heartbeat import Heartbeat
from app.tracking.owner import Owner, beat, new_owner, purge_owners
from app.tracking.table import EventTable
from app.tracking.tracker import ProcessingTracker
from tests.integration.lossy_proxy import losing_answers
from tests.integration.tracking import CLIENTS, Spare, rows, run, tracking
from tests.polling import poll

KEY = ("shop", "embed", "run-1")
MORTAL = """
import sys
from psycopg_pool import ConnectionPool
from app.tracking.tracker import ProcessingTracker

tracker = ProcessingTracker("shop", "embed", ConnectionPool(sys.argv[1], open=True))
print(tracker.start_event("run-1", {}), flush=True)
sys.stdin.read()
"""


@contextmanager
def table(url: str, *, silent_after_s: float = SILENT_AFTER_S) -> Iterator[EventTable]:
    with ConnectionPool(url, min_size=0, max_size=4, open=True) as pool:
        found = EventTable(pool, new_owner(), silent_after_s=silent_after_s)
        found.prepare()
        yield found


def started(of: EventTable, reference: str = "run-1") -> str:
    return of.start(event(reference)).processing_id


def event(reference: str = "run-1") -> ProcessingEvent:
    return ProcessingEvent(service_name=KEY[0], processor_name=KEY[1], reference=reference)


def age(url: str, owner: Owner, *, seconds: int) -> None:
    """As if the owner had not been heard for so long, and its rows were at least as old."""
    run(
        url,
        "UPDATE datastore.processing_owners SET seen_at = now() - make_interval(secs => %s)"
        " WHERE owner_id = %s",
        seconds,
        owner.owner_id,
    )
    run(
        url,
        "UPDATE datastore.processing_events SET stored_at = now() - make_interval(secs => %s)"
        " WHERE owner_id = %s",
        seconds,
        owner.owner_id,
    )


def sweeper(of: EventTable, url: str, *, heard_for_s: int = 61) -> str:
    """An owner that has been heard for so long without a gap."""
    owner = new_owner()
    beat(of.client, [owner])
    run(
        url,
        "UPDATE datastore.processing_owners"
        " SET heard_since = now() - make_interval(secs => %s) WHERE owner_id = %s",
        heard_for_s,
        owner.owner_id,
    )
    return owner.owner_id


def row(url: str) -> dict[str, Any]:
    (found,) = rows(url)
    return found


def test_a_row_of_a_killed_process_is_ended_with_a_note_that_names_it(postgres_url: str) -> None:
    with table(postgres_url):  # so that it has no migrations to tell of
        command = [sys.executable, "-c", MORTAL, postgres_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as mortal:
        assert mortal.stdout is not None
        started_there = mortal.stdout.readline().decode().strip()
        poll(lambda: is_heard(postgres_url, mortal.pid), description="it beats", within_s=30)
        os.kill(mortal.pid, signal.SIGKILL)
    owner = Owner(row(postgres_url)["owner_id"], "", mortal.pid)
    with tracking(postgres_url) as tracker, table(postgres_url) as living:
        age(postgres_url, owner, seconds=50)
        by = sweeper(living, postgres_url)
        assert close_abandoned(living.client, by=by) == 0
        age(postgres_url, owner, seconds=61)
        assert close_abandoned(living.client, by=by) == 1
        found = tracker.get_event(started_there)
        assert found is not None
        assert found.status == "failure"
        assert found.status_note is not None
        assert found.status_note.startswith(f"abandoned: process {mortal.pid} on {os.uname()[1]}")
        assert tracker.end_event(started_there) is False
        assert close_abandoned(living.client, by=by) == 0


def test_an_old_row_of_an_owner_that_is_heard_stays(postgres_url: str) -> None:
    with table(postgres_url) as old:
        started(old)
        age(postgres_url, old.owner, seconds=86_400)
        beat(old.client, [old.owner])
        assert close_abandoned(old.client, by=sweeper(old, postgres_url)) == 0
        assert close_silent(old.client, KEY) is False
        assert row(postgres_url)["status"] == "in-progress"


def test_an_owner_never_heard_is_as_old_as_its_row(postgres_url: str) -> None:
    with table(postgres_url) as silent:
        started(silent)
        by = sweeper(silent, postgres_url)
        assert close_abandoned(silent.client, by=by) == 0
        age(postgres_url, silent.owner, seconds=61)
        assert close_abandoned(silent.client, by=by) == 1
        assert row(postgres_url)["status_note"] == "abandoned: its process was never heard"


def test_nobody_sweeps_who_was_not_heard_itself_for_long_enough(postgres_url: str) -> None:
    with table(postgres_url) as silent:
        started(silent)
        age(postgres_url, silent.owner, seconds=600)
        assert close_abandoned(silent.client, by="never heard") == 0
        assert close_abandoned(silent.client, by=sweeper(silent, postgres_url, heard_for_s=50)) == 0
        assert row(postgres_url)["status"] == "in-progress"


def test_after_a_gap_an_owner_is_heard_anew(postgres_url: str) -> None:
    with table(postgres_url) as silent:
        started(silent)
        age(postgres_url, silent.owner, seconds=600)
        by = sweeper(silent, postgres_url)
        beat(silent.client, [Owner(by, "", 1)])  # without a gap
        run(
            postgres_url,
            "UPDATE datastore.processing_owners SET seen_at = now() - interval '20 s'"
            " WHERE owner_id = %s",
            by,
        )
        beat(silent.client, [Owner(by, "", 1)])
        assert close_abandoned(silent.client, by=by) == 0


def test_a_run_that_is_started_again_lives_by_its_new_owner(postgres_url: str) -> None:
    with table(postgres_url) as old, table(postgres_url) as new:
        first = started(old)
        assert started(new) == first
        age(postgres_url, old.owner, seconds=600)
        by = sweeper(new, postgres_url)
        assert row(postgres_url)["owner_id"] == new.owner.owner_id
        assert close_abandoned(new.client, by=by) == 0
        age(postgres_url, new.owner, seconds=61)
        assert close_abandoned(new.client, by=by) == 1


def test_a_start_that_meets_a_row_of_a_silent_owner_ends_it_and_stores_its_own(
    postgres_url: str,
) -> None:
    # The session's server may have been up for less than a minute, and then could not tell.
    with table(postgres_url) as dead, table(postgres_url, silent_after_s=0.001) as new:
        first = started(dead)
        beat(dead.client, [dead.owner])
        age(postgres_url, dead.owner, seconds=61)
        second = started(new)
        found = [(each["processing_id"], each["status"]) for each in rows(postgres_url)]
        assert found == [(first, "failure"), (second, "in-progress")]


def test_runs_of_an_owner_known_to_be_dead_are_ended_at_once(postgres_url: str) -> None:
    with table(postgres_url) as dead, table(postgres_url) as living:
        started(dead)
        started(living, "run-2")
        note = "its process was killed"
        assert close_of(living.client, [dead.owner.owner_id], note=note) == 1
        found = {each["reference"]: each["status_note"] for each in rows(postgres_url)}
        assert found == {"run-1": note, "run-2": None}


def test_owners_are_forgotten_once_nothing_is_theirs(postgres_url: str) -> None:
    with table(postgres_url) as gone, table(postgres_url) as busy:
        beat(gone.client, [gone.owner, busy.owner])
        started(busy)
        assert purge_owners(gone.client) == 0
        for each in (gone, busy):
            age(postgres_url, each.owner, seconds=90_000)
        assert purge_owners(gone.client) == 1
        assert is_heard(postgres_url, busy.owner.process_id)


def test_a_start_whose_answer_was_lost_does_not_stay_in_progress(postgres_url: str) -> None:
    with (
        losing_answers(postgres_url) as proxy,
        psycopg.connect(proxy.url, autocommit=True) as connection,
    ):
        lost = EventTable(connection, new_owner())
        tracker = ProcessingTracker("shop", "embed", lost)
        kept = tracker.start_event("kept", {})
        proxy.losing.set()
        assert tracker.start_event("run-1", {}) is None
        proxy.losing.clear()
        assert tracker.get_processing_id("run-1") is None
        tracker.close()
        with ConnectionPool(postgres_url, open=True) as pool:
            lost.client = pool
            Heartbeat(lost, lambda *_: None).once()
    found = {each["reference"]: each for each in rows(postgres_url)}
    assert (found["kept"]["processing_id"], found["kept"]["status"]) == (kept, "in-progress")
    assert found["run-1"]["status"] == "failure"
    assert "nobody was told its id" in found["run-1"]["status_note"]


def test_a_lost_start_that_is_tried_again_is_the_same_run(postgres_url: str) -> None:
    with losing_answers(postgres_url) as proxy, closing(Spare(proxy.url)) as pool:
        lost = EventTable(pool, new_owner())
        lost.prepare()
        first = event()
        proxy.losing.set()
        with pytest.raises(RowsAwayError):
            lost.start(first)
        proxy.losing.clear()
        assert started(lost) == first.processing_id == row(postgres_url)["processing_id"]
        Heartbeat(lost, lambda *_: None).once()
        assert row(postgres_url)["status"] == "in-progress"


def test_an_end_whose_answer_was_lost_is_recognised_on_the_next_try(postgres_url: str) -> None:
    with losing_answers(postgres_url) as proxy, closing(Spare(proxy.url)) as pool:
        tracker = ProcessingTracker("shop", "embed", pool)
        run_id = tracker.start_event("run-1", {})
        assert run_id is not None
        proxy.losing.set()
        assert tracker.end_event(run_id) is False
        assert row(postgres_url)["status"] == "success"
        assert tracker.get_processing_id("run-1") == run_id
        proxy.losing.clear()
        assert tracker.end_event(run_id) is True
        assert tracker.end_event(run_id) is False
        assert tracker.get_processing_id("run-1") is None
        tracker.close()


def test_of_two_ends_before_the_start_by_clocks_that_are_behind_one_is_true(
    postgres_url: str,
) -> None:
    with table(postgres_url) as mine, table(postgres_url) as other:
        ahead = event()
        ahead.started_at += timedelta(hours=1)
        started_there = mine.start(ahead).processing_id
        for where, is_first in ((mine, True), (other, False), (mine, False)):
            ended = ProcessingEvent(started_there, *KEY[:2])
            ended.finish_job("success")
            assert where.finish(ended) is is_first
        assert row(postgres_url)["ended_at"] == row(postgres_url)["started_at"]


def test_an_end_that_could_not_be_stored_keeps_its_time(postgres_url: str) -> None:
    with losing_answers(postgres_url) as proxy, closing(Spare(proxy.url)) as pool:
        lost = EventTable(pool, new_owner())
        ended = lost.start(event())
        ended.finish_job("success")
        proxy.losing.set()
        with pytest.raises(RowsAwayError):
            lost.finish(ended)
        proxy.losing.clear()
        run(
            postgres_url,
            "UPDATE datastore.processing_events SET status = 'in-progress',"
            " ended_at = NULL, end_id = NULL",
        )
        again = replace(ended, ended_at=datetime.now(UTC) + timedelta(hours=1))
        assert lost.finish(again) is True
        assert row(postgres_url)["ended_at"] == ended.ended_at
        assert lost.finish(again) is False


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_a_heartbeat_does_over_each_client(kind: str, postgres_url: str) -> None:
    told: list[tuple[str, Outcome]] = []
    with ExitStack() as opened:
        client = CLIENTS[kind](postgres_url, opened)
        mine = EventTable(client, new_owner())
        heartbeat = Heartbeat(mine, lambda *ends: told.append(ends))
        heartbeat.once()
        heartbeat.sweep()  # with nothing in progress
        ended, lost, silent = (started(mine, name) for name in ("ended", "lost", "silent"))
        mine.holding.release(lost)
        with pytest.raises(ValueError, match="a start"), mine.holding.starting(KEY):
            raise ValueError("a start whose answer was lost")
        heartbeat.once()
        run(
            postgres_url,
            "UPDATE datastore.processing_events SET status = 'success', ended_at = started_at"
            " WHERE reference = 'ended'",
        )
        heartbeat.sweep()
        assert told == [(ended, "success")]
        other = EventTable(client, new_owner(), silent_after_s=0.001)
        assert started(other, "silent") != silent
        assert close_of(client, [other.owner.owner_id], note="it is dead") == 1
        assert purge_owners(client, after_s=0.0) == 1
    found = [(each["reference"], each["status"]) for each in rows(postgres_url)]
    assert sorted(found) == [
        ("ended", "success"),
        ("lost", "failure"),
        ("silent", "failure"),
        ("silent", "failure"),
    ]


def test_an_abandoned_run_ended_at_the_last_sign_of_its_owner(postgres_url: str) -> None:
    with table(postgres_url) as silent, table(postgres_url) as dead, table(postgres_url) as never:
        for of, reference in ((silent, "silent"), (dead, "dead"), (never, "never")):
            started(of, reference)
        later = event("later")
        later.started_at += timedelta(hours=1)
        silent.start(later)
        beat(silent.client, [silent.owner, dead.owner])
        for of in (silent, dead, never):
            age(postgres_url, of.owner, seconds=600)
        hour = "UPDATE datastore.processing_events SET started_at = started_at - interval '1 hour'"
        run(postgres_url, f"{hour} WHERE reference <> 'later'")
        assert close_of(dead.client, [dead.owner.owner_id], note="its process was killed") == 1
        assert close_abandoned(silent.client, by=sweeper(silent, postgres_url)) == 3
        found = {each["reference"]: each for each in rows(postgres_url)}
    assert found["later"]["ended_at"] == found["later"]["started_at"]
    for reference in ("silent", "dead", "never"):
        lasted = found[reference]["ended_at"] - found[reference]["started_at"]
        assert timedelta(minutes=49) < lasted < timedelta(minutes=55)


def test_a_process_learns_of_ends_by_others(postgres_url: str) -> None:
    told: list[tuple[str, Outcome]] = []
    with table(postgres_url) as mine, table(postgres_url) as other:
        first, second = started(mine), started(mine, "run-2")
        ended = event()
        ended.processing_id = first
        ended.finish_job("success")
        assert other.finish(ended) is True
        Heartbeat(mine, lambda *ends: told.append(ends)).sweep()
        assert told == [(first, "success")]
        assert mine.holding.held() == [second]


def test_a_tracker_beats_from_its_first_start_until_it_is_closed(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        assert tracker.get_event("run-1", "reference") is None
        assert not is_heard(postgres_url, os.getpid())
        tracker.start_event("run-1", {})
        poll(lambda: is_heard(postgres_url, os.getpid()), description="a beat", within_s=30)


def is_heard(url: str, process_id: int) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM datastore.processing_owners WHERE process_id = %s", (process_id,)
        ).fetchone()
        return found is not None and found[0] > 0
