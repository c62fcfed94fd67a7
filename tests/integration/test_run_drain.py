"""The thread of a worker's parent that drains a spool: what it tells, whatever happens."""

import threading
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from app.settings import Settings
from tests.integration.spooling import migrated, open_spool, rows_of, written
from workers.process import WorkerProcess
from workers.run_drain import Shift

LATELY = timedelta(minutes=1)


class OverError(Exception):
    """The shift has come to its first rest."""


class FirstRest(threading.Event):
    """A pause that ends the shift."""

    def wait(self, timeout: float | None = None) -> bool:
        raise OverError


def test_a_postgresql_that_refuses_every_row_is_told_of_and_loses_none(
    database: Database[Document], ledger: Ledger, postgres_url: str, tmp_path: Path
) -> None:
    worker = WorkerProcess.of(Settings(), database, ledger)
    spool = open_spool(tmp_path)
    written(spool, "a")
    spool.close()

    def work() -> None:
        with pytest.raises(OverError):
            Shift(worker, tmp_path, connection).work(FirstRest())

    with migrated(postgres_url) as connection:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("ALTER TABLE datastore.processing_events RENAME TO elsewhere")
            work()
            told = ledger.pulse.spools(within=LATELY)
            assert told is not None
            assert told.waiting_bytes > 0
            assert told.takes_runs
            other.execute("ALTER TABLE datastore.elsewhere RENAME TO processing_events")
        work()
    told = ledger.pulse.spools(within=LATELY)
    assert told is not None
    assert told.waiting_bytes == 0
    assert [row["reference"] for row in rows_of(postgres_url)] == ["a"]
