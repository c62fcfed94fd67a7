"""The reader's side of a spool: in order, each row once, whoever is killed."""

import json
import os
import uuid
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app.embedded.port import LOOPBACK, free_ports
from app.tracking.client import RowsAwayError, RowsRefusedError
from app.tracking.pool import LazyPool
from app.tracking.spooling.drain import BATCH_LINES, REFUSED, Drain, DrainLockedError, sole_drainer
from app.tracking.spooling.keeper import RunKeeper
from app.tracking.spooling.retention import purge_runs
from tests.integration.spool_process import waiting_process
from tests.integration.spooling import drained, migrated, open_spool, rows_of, run, written
from tests.polling import poll

YEAR = timedelta(days=365)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.jsonl") if path.name != REFUSED]


def test_runs_of_a_writer_that_is_killed_are_stored_and_the_last_one_closed(
    folder: Path, postgres_url: str
) -> None:
    with migrated(postgres_url) as connection:
        drain = Drain(folder, connection)
        with waiting_process("write", str(folder), "20") as writer:
            (first,) = drained(drain)
            assert [(owner.process_id, first.closed) for owner in drain.owners()] == [
                (writer.pid, 0)
            ]
            writer.kill()
        (file,) = files(folder)
        with file.open("ab") as torn:
            torn.write(b'{"kind": "ended", "processing_id": "')
        (second,) = drained(drain)
    assert (second.stored, second.refused, second.closed) == (0, 0, 1)
    assert files(folder) == []
    rows = rows_of(postgres_url)
    assert len(rows) == 20
    (closed,) = (row for row in rows if row["status"] != "success")
    assert (closed["reference"], closed["status"]) == ("killed/19", "failure")
    assert f"process {writer.pid} on" in closed["status_note"]


def test_a_drainer_that_is_killed_after_its_commit_leaves_each_row_once(
    folder: Path, postgres_url: str
) -> None:
    spool = open_spool(folder)
    runs = BATCH_LINES  # two lines each
    for number in range(runs):
        written(spool, f"{number:05}")
    begun = spool.start(run("last"))
    with migrated(postgres_url), waiting_process("drain", str(folder), postgres_url) as drainer:
        assert not is_free(folder)
        assert len(rows_of(postgres_url)) == runs // 2
        drainer.kill()
    begun.finish_job("success")
    spool.finish(begun)
    spool.close()
    assert_held_by_this_process_alone(folder)
    with sole_drainer(folder), migrated(postgres_url) as connection:
        rounds = drained(Drain(folder, connection))
    assert sum(each.refused + each.closed for each in rounds) == 0
    rows = rows_of(postgres_url)
    assert len(rows) == len({row["reference"] for row in rows}) == runs + 1
    assert {row["status"] for row in rows} == {"success"}
    assert files(folder) == []


def is_free(folder: Path) -> bool:
    try:
        with sole_drainer(folder):
            return True
    except DrainLockedError:
        return False


def assert_held_by_this_process_alone(folder: Path) -> None:
    """A child that was forked meanwhile, as those of a worker are, does not keep the lock."""
    parent, child = os.pipe()
    with sole_drainer(folder):
        if (pid := os.fork()) == 0:
            os.close(child)
            os.read(parent, 1)
            os._exit(0)
    try:
        poll(lambda: is_free(folder), description="the lock is let go", within_s=30)
    finally:
        os.close(child)
        os.close(parent)
        assert os.waitpid(pid, 0)[1] == 0


def test_lines_that_postgresql_refuses_are_set_aside_and_block_nobody(
    folder: Path, postgres_url: str
) -> None:
    spool = open_spool(folder)
    written(spool, "a")
    refused = run("b", number=1)
    refused.event = {}
    spool.start(refused)
    (file,) = files(folder)
    good = file.read_bytes()
    bad = good.splitlines()[-1].replace(b'"event": {}', b'"event": {"text": "\\u0000"}')
    with file.open("ab") as beside:
        beside.write(bad.replace(refused.processing_id.encode(), b"0" * 32) + b"\n")
        beside.write(b"no JSON at all\n[1]\n")
        half = {"processing_id": str(uuid.uuid4())}
        beside.writelines(
            json.dumps({"kind": kind, **half}).encode() + b"\n" for kind in ("started", "ended")
        )
    written(spool, "c")
    spool.close()
    with migrated(postgres_url) as connection:
        (done,) = drained(Drain(folder, connection))
    assert (done.stored, done.refused) == (3, 4)
    assert [row["reference"] for row in rows_of(postgres_url)] == ["a", "b", "c"]
    kept = (folder / REFUSED).read_bytes().splitlines()
    assert kept[0].endswith(b"no JSON at all") or b"u0000" in kept[0]
    assert len(kept) == 4  # the end of a run that is not there changes nothing
    assert files(folder) == []


def test_nothing_is_forgotten_while_postgresql_is_away(folder: Path, postgres_url: str) -> None:
    (port,) = free_ports(1)
    spool = open_spool(folder)
    begun = spool.start(run("a"))
    away = RunKeeper(folder, LazyPool(f"postgresql://{LOOPBACK}:{port}/", most=1), retention=YEAR)
    for _ in range(2):
        with pytest.raises(RowsAwayError):
            away.tick()
    waiting_bytes = away.waiting_bytes()
    begun.finish_job("success")
    spool.finish(begun)
    assert away.waiting_bytes() > waiting_bytes > 0
    connection = LazyPool(postgres_url, most=1)
    keeper = RunKeeper(folder, connection, retention=YEAR)
    assert keeper.tick().stored == 1
    assert keeper.waiting_bytes() == 0
    heard = owners_of(postgres_url)
    assert spool.owner.owner_id in heard
    assert len(heard) == 2
    spool.close()
    connection.close()


def test_a_connection_that_is_cut_is_made_again(folder: Path, postgres_url: str) -> None:
    spool = open_spool(folder)
    written(spool, "a")
    with migrated(postgres_url) as connection:
        drain = Drain(folder, connection)
        drained(drain)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        written(spool, "b")
        with pytest.raises(RowsAwayError):
            drain.round()
        assert drain.round().stored == 1
    spool.close()
    assert [row["reference"] for row in rows_of(postgres_url)] == ["a", "b"]


def test_files_of_the_dead_are_removed_while_more_waits(folder: Path, postgres_url: str) -> None:
    dead, living = open_spool(folder), open_spool(folder)
    written(dead, "a")
    dead.close()
    for number in range(BATCH_LINES):
        written(living, f"{number:05}")
    with migrated(postgres_url) as connection:
        drain = Drain(folder, connection)
        assert not drain.round().is_last
        assert {owner.owner_id for owner in drain.owners()} == {living.owner.owner_id}
        assert not [path for path in files(folder) if dead.owner.owner_id in path.name]
        drained(drain)
    living.close()
    assert len(rows_of(postgres_url)) == BATCH_LINES + 1


def test_a_table_that_is_not_there_refuses_no_row(folder: Path, postgres_url: str) -> None:
    spool = open_spool(folder)
    written(spool, "a")
    spool.close()
    with migrated(postgres_url) as connection:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("ALTER TABLE datastore.processing_events RENAME TO elsewhere")
            with pytest.raises(Exception, match="UndefinedTable"):
                Drain(folder, connection).round()
            other.execute("ALTER TABLE datastore.elsewhere RENAME TO processing_events")
        assert not (folder / REFUSED).exists()
        (done,) = drained(Drain(folder, connection))
    assert done.stored == 1


def test_a_schema_that_went_away_is_made_again(folder: Path, postgres_url: str) -> None:
    """As where PostgreSQL comes back with an empty disk."""
    spool = open_spool(folder)
    connection = LazyPool(postgres_url, most=1)
    keeper = RunKeeper(folder, connection, retention=YEAR)
    keeper.tick()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("DROP SCHEMA datastore CASCADE")
    written(spool, "a")
    with pytest.raises(RowsRefusedError):
        keeper.tick()
    assert keeper.tick().stored == 1
    spool.close()
    connection.close()


def test_runs_that_ended_long_ago_are_deleted_in_steps(folder: Path, postgres_url: str) -> None:
    spool = open_spool(folder)
    for number in range(5):
        written(spool, str(number))
    spool.start(run("in progress"))
    spool.close()
    with migrated(postgres_url) as connection:
        drained(Drain(folder, connection))
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "UPDATE datastore.processing_events SET started_at = '2020-01-01',"
                " ended_at = CASE WHEN ended_at IS NOT NULL THEN timestamptz '2020-01-02' END"
                " WHERE reference <> '4'"
            )
            other.execute(
                "UPDATE datastore.processing_events SET status = 'in-progress', ended_at = NULL"
                " WHERE reference = 'in progress'"
            )
        steps = [purge_runs(connection, after=YEAR, most=3) for _ in range(3)]
    assert steps == [3, 1, 0]
    assert [row["reference"] for row in rows_of(postgres_url)] == ["4", "in progress"]


def owners_of(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {
            row[0] for row in connection.execute("SELECT owner_id FROM datastore.processing_owners")
        }
