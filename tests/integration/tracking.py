"""Trackers for tests: over each kind of client, and what the table has of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

import pg8000.dbapi
import psycopg
import psycopg2
from psycopg.rows import dict_row
from psycopg2.extras import RealDictCursor
from psycopg2.pool import ThreadedConnectionPool
from psycopg_pool import ConnectionPool

from app.tracking.tracker import ProcessingTracker

Opened = Callable[[str, ExitStack], Any]


def _psycopg(url: str, opened: ExitStack) -> Any:
    return opened.enter_context(psycopg.connect(url))


def _psycopg_autocommit(url: str, opened: ExitStack) -> Any:
    return opened.enter_context(psycopg.connect(url, autocommit=True))


def _psycopg_dicts(url: str, opened: ExitStack) -> Any:
    return opened.enter_context(psycopg.connect(url, row_factory=dict_row))


def _psycopg_pool(url: str, opened: ExitStack) -> Any:
    return opened.enter_context(ConnectionPool(url, min_size=0, max_size=4, open=True))


def _psycopg2(url: str, opened: ExitStack) -> Any:
    connection = psycopg2.connect(url)
    opened.callback(connection.close)
    return connection


def _psycopg2_autocommit(url: str, opened: ExitStack) -> Any:
    connection = _psycopg2(url, opened)
    connection.autocommit = True
    return connection


def _psycopg2_dicts(url: str, opened: ExitStack) -> Any:
    connection = psycopg2.connect(url, cursor_factory=RealDictCursor)
    opened.callback(connection.close)
    return connection


def _psycopg2_pool(url: str, opened: ExitStack) -> Any:
    pool = ThreadedConnectionPool(0, 4, url)
    opened.callback(pool.closeall)
    return pool


def _pg8000(url: str, opened: ExitStack) -> Any:
    parts = urlsplit(url)
    connection = pg8000.dbapi.connect(
        parts.username or "",
        host=parts.hostname or "",
        port=parts.port or 0,
        password=parts.password,
        database=parts.path.removeprefix("/"),
    )
    opened.callback(connection.close)
    return connection


CLIENTS: Final[dict[str, Opened]] = {
    "a psycopg connection": _psycopg,
    "a psycopg connection in autocommit": _psycopg_autocommit,
    "a psycopg connection of dicts": _psycopg_dicts,
    "a psycopg_pool": _psycopg_pool,
    "a psycopg2 connection": _psycopg2,
    "a psycopg2 connection in autocommit": _psycopg2_autocommit,
    "a psycopg2 connection of dicts": _psycopg2_dicts,
    "a psycopg2 pool": _psycopg2_pool,
    "a pg8000 connection": _pg8000,
}


class Spare:
    """A pool in autocommit that keeps what was given back, and connects again without delay."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._spare: list[psycopg.Connection[Any]] = []

    def getconn(self) -> psycopg.Connection[Any]:
        with suppress(IndexError):
            return self._spare.pop()
        return psycopg.connect(self._url, autocommit=True, connect_timeout=10)

    def putconn(self, conn: psycopg.Connection[Any]) -> None:
        if not conn.broken:
            self._spare.append(conn)

    def close(self) -> None:
        while self._spare:
            self._spare.pop().close()


@contextmanager
def tracking(
    url: str, *, service: str = "shop", processor: str = "embed"
) -> Iterator[ProcessingTracker]:
    """A tracker over a pool of its own, closed after the block."""
    with ConnectionPool(url, min_size=0, max_size=8, open=True) as pool:
        tracker = ProcessingTracker(service, processor, pool)
        try:
            yield tracker
        finally:
            tracker.close()


def rows(url: str) -> list[dict[str, Any]]:
    """Every row of the table, by its start."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = connection.execute(
            "SELECT *, processing_id::text AS processing_id FROM datastore.processing_events"
            " ORDER BY started_at"
        )
        return found.fetchall()


def cut(url: str) -> None:
    """Ends every other connection to the database, as a restart of the server does."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def run(url: str, statement: str, *values: object) -> None:
    """One statement that nobody of ours would make."""
    with psycopg.connect(url) as connection:
        connection.execute(statement, values)


def begin(tracker: ProcessingTracker, reference: str) -> str:
    """The id of a run that was stored."""
    started = tracker.start_event(reference, {})
    assert started is not None
    return started
