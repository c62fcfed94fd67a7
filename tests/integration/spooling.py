"""What tests of spools start from: runs, spools, and the rows that came of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.tracking.event import ProcessingEvent
from app.tracking.owner import new_owner
from app.tracking.pool import LazyPool
from app.tracking.schema import apply_migrations
from app.tracking.spooling.drain import Drain, Round
from app.tracking.spooling.spool import Spool
from app.tracking.table import EventTable

Row = dict[str, Any]
ROOMY_BYTES = 64 * 1024 * 1024


def run(reference: str, **event: object) -> ProcessingEvent:
    """One that has just begun."""
    return ProcessingEvent(
        service_name="tests", processor_name="spooled", reference=reference, event=event
    )


def open_spool(
    folder: Path, *, most_bytes: int = ROOMY_BYTES, client: LazyPool | None = None
) -> Spool:
    """One that finds runs through the client."""

    def table() -> EventTable:
        assert client is not None
        return EventTable(client, new_owner())

    return Spool(folder, most_bytes=most_bytes, table=table)


def written(spool: Spool, reference: str, **event: object) -> ProcessingEvent:
    """A run that has begun and ended."""
    begun = spool.start(run(reference, **event))
    begun.finish_job("success", None, 1)
    assert spool.finish(begun)
    return begun


def drained(drain: Drain) -> list[Round]:
    """The rounds until nothing waits."""
    rounds = [drain.round()]
    while not rounds[-1].is_last:
        rounds.append(drain.round())
    return rounds


@contextmanager
def migrated(url: str) -> Iterator[LazyPool]:
    """A connection to the database, which has the schema."""
    connection = LazyPool(url, most=1)
    apply_migrations(connection)
    yield connection
    connection.close()


def rows_of(url: str) -> list[Row]:
    """Every row, in the order of their references."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(
            "SELECT * FROM datastore.processing_events ORDER BY reference"
        ).fetchall()
