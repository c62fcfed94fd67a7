"""The writer's side of a spool: what is taken, what is refused, and what a bad disk costs."""

import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.tracking.client import RowsAwayError
from app.tracking.pool import LazyPool
from app.tracking.spooling.drain import Drain
from app.tracking.spooling.spool import LOOK_EVERY_S, SpoolFullError
from app.tracking.tracker import ProcessingTracker
from tests.integration.spooling import drained, migrated, open_spool, rows_of, run, written
from tests.polling import poll

NUMBER = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_a_tracker_over_a_spool_writes_the_rows_that_one_over_the_table_writes(
    folder: Path, postgres_url: str
) -> None:
    client = LazyPool(postgres_url, most=1)
    spool = open_spool(folder, client=client)
    tracker = ProcessingTracker("tests", "over_a_spool", spool)
    event = {"inputs": ["größer", '"quoted"', 10**18, 1e300, None, {"deep": [True]}]}
    started = tracker.start_event("tsk_1/1", event, input_rows=3)
    assert started is not None
    with pytest.raises(ValueError, match="NUL"):
        tracker.start_event("tsk_1/2", {"inputs": ["\0"]})
    with migrated(postgres_url) as connection:
        drain = Drain(folder, connection)
        drained(drain)
        assert [row["status"] for row in rows_of(postgres_url)] == ["in-progress"]
        assert tracker.end_event(started, success=False, status_note="no\0w", output_rows=2)
        assert not tracker.end_event(started)
        drained(drain)
    (row,) = rows_of(postgres_url)
    assert row["event"] == event
    assert (row["status"], row["status_note"]) == ("failure", "no\N{REPLACEMENT CHARACTER}w")
    assert (row["input_rows"], row["output_rows"]) == (3, 2)
    assert row["owner_id"] == spool.owner.owner_id
    found = tracker.get_event("tsk_1/1", "reference")
    assert found is not None
    assert found.ended_at == row["ended_at"]
    tracker.close()
    spool.close()
    client.close()


def test_threads_share_a_spool_and_rotate_its_files(folder: Path, postgres_url: str) -> None:
    spool = open_spool(folder)
    together = threading.Barrier(4)

    def write(thread: int) -> None:
        together.wait()
        for number in range(NUMBER):
            written(spool, f"{thread}/{number:03}", text="x" * 10_000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(list(folder.glob("*.jsonl"))) > 2
    with migrated(postgres_url) as connection:
        rounds = drained(Drain(folder, connection))
    assert rounds[-1].waiting_bytes == 0
    assert len(list(folder.glob("*.jsonl"))) == 1  # the one that is still written to
    rows = rows_of(postgres_url)
    assert [row["reference"] for row in rows] == [
        f"{thread}/{number:03}" for thread in range(4) for number in range(NUMBER)
    ]
    assert {row["status"] for row in rows} == {"success"}
    spool.close()


def test_a_full_spool_refuses_starts_and_takes_ends(folder: Path, postgres_url: str) -> None:
    spool = open_spool(folder, most_bytes=2_000)
    taken = [spool.start(run("a", text="x" * 3_000))]
    assert not spool.takes_starts()
    with pytest.raises(SpoolFullError):
        spool.start(run("b"))
    for each in taken:
        each.finish_job("success")
        assert spool.finish(each)
    spool.close()
    with migrated(postgres_url) as connection:
        drained(Drain(folder, connection))
    assert [row["status"] for row in rows_of(postgres_url)] == ["success"]
    poll(spool.takes_starts, description="the spool has room again", within_s=30)
    spool.start(run("b"))
    spool.close()


def test_processes_whose_open_files_fill_the_room_take_runs_again_once_they_are_stored(
    folder: Path, postgres_url: str
) -> None:
    spools = [open_spool(folder, most_bytes=6_000) for _ in range(4)]
    for spool in spools:
        written(spool, "a", text="x" * 1_000)
    poll(
        lambda: not any(spool.takes_starts() for spool in spools),
        description="all of them see that it is full",
        within_s=30,
    )
    with migrated(postgres_url) as connection:
        drained(Drain(folder, connection))
    poll(
        lambda: all(spool.takes_starts() for spool in spools),
        description="it has room again",
        within_s=30,
    )
    for spool in spools:
        spool.close()


def test_an_end_that_the_disk_refused_is_written_with_the_next_line(
    folder: Path, postgres_url: str
) -> None:
    spool = open_spool(folder)
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    begun = spool.start(run("a"))
    (file,) = folder.glob("*.jsonl")
    size_bytes = file.stat().st_size
    begun.finish_job("success", "x" * 1_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes + 100, hard))  # a part of the line fits
    try:
        assert spool.finish(begun)  # taken: it is not to be ended again
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert file.stat().st_size == size_bytes  # and nothing of it is left
    assert not spool.takes_starts()
    written(spool, "b")
    spool.close()
    with migrated(postgres_url) as connection:
        (last,) = drained(Drain(folder, connection))
    assert (last.refused, last.closed) == (0, 0)
    assert [row["status"] for row in rows_of(postgres_url)] == ["success", "success"]


def test_a_folder_that_cannot_be_made_is_a_spool_that_takes_nothing(folder: Path) -> None:
    folder.write_text("a file stands in its place")
    spool = open_spool(folder)
    assert not spool.takes_starts()
    with pytest.raises(RowsAwayError):
        spool.start(run("a"))


def test_an_end_does_not_go_into_a_file_that_somebody_deleted(
    folder: Path, postgres_url: str
) -> None:
    spool = open_spool(folder)
    begun = spool.start(run("a"))
    looked_at_s = time.monotonic()
    with migrated(postgres_url) as connection:
        drained(Drain(folder, connection))
        next(folder.glob("*.jsonl")).unlink()
        poll(
            lambda: time.monotonic() > looked_at_s + LOOK_EVERY_S,
            description="the spool looks again",
            within_s=30,
        )
        begun.finish_job("success")
        spool.finish(begun)
        drained(Drain(folder, connection))
    spool.close()
    assert [row["status"] for row in rows_of(postgres_url)] == ["success"]


def test_files_that_somebody_deleted_are_begun_anew(folder: Path, postgres_url: str) -> None:
    spool = open_spool(folder)
    written(spool, "lost")
    (file,) = folder.glob("*.jsonl")
    file.unlink()
    poll(
        lambda: spool.takes_starts() and written(spool, "kept") and list(folder.glob("*.jsonl")),
        description="a new file stands in its place",
        within_s=30,
    )
    spool.close()
    with migrated(postgres_url) as connection:
        drained(Drain(folder, connection))
    assert {row["reference"] for row in rows_of(postgres_url)} == {"kept"}
