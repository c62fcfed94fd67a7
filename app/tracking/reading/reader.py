"""Reads runs for people: briefly, over few connections, and never for longer than they wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg.errors import QueryCanceled
from psycopg_pool import ConnectionPool

from app.errors import BadRequestError, UnavailableError
from app.tracking.client import Cursor, RowsAwayError, RowsRefusedError, statement
from app.tracking.connection import HurriedConnection
from app.tracking.reading.patience import Patience, hurried_pool
from app.tracking.reading.run import (
    Run,
    RunQuery,
    Statement,
    Window,
    count_statement,
    page_statement,
    run_of,
    run_statement,
)
from app.tracking.reading.statistic import (
    MAX_STATISTICS,
    Statistic,
    statistic_of,
    statistic_statement,
)
from app.tracking.schema import ChangedMigrationError, apply_migrations

log = structlog.get_logger(__name__)

AWAY: Final = "PostgreSQL, where runs are kept, does not answer at the moment: try again"
REFUSED: Final = (
    "PostgreSQL refuses to show its runs: see whether the user of WAYBILL_POSTGRES_URL may read "
    "the schema datastore, or make it; the log of the API says more"
)
UNSET: Final = (
    "This server has no WAYBILL_POSTGRES_URL, so it keeps no runs: set it, and start the server "
    "again"
)


class RunReader:
    """What the API reads of `datastore.processing_events`; its connections open when needed.

    `UnavailableError` where there is no PostgreSQL or it does not answer, `BadRequestError` where
    it takes too long over a question.
    """

    def __init__(self, url: str | None, *, patience: Patience | None = None) -> None:
        self._url = url
        self._patience = patience or Patience()
        self._lock = threading.Lock()
        self._pool: ConnectionPool[HurriedConnection] | None = None
        self._is_migrated = False

    def page(self, query: RunQuery, window: Window, *, with_events: bool = False) -> list[Run]:
        """The runs that are asked for, the newest first."""
        if query.namespace_ids == frozenset():
            return []
        asked = page_statement(query, window, with_events=with_events)
        return [run_of(row) for row in self._rows(asked)]

    def count(self, query: RunQuery) -> int:
        """How many they are."""
        ((total,),) = self._rows(count_statement(query))
        return int(total)

    def find(self, processing_id: UUID, namespace_ids: frozenset[str] | None) -> Run | None:
        """The run with its event; None: there is none in these namespaces (None: anywhere)."""
        rows = self._rows(run_statement(processing_id, namespace_ids))
        return run_of(rows[0]) if rows else None

    def statistics(self, query: RunQuery) -> list[Statistic]:
        """One for each processor and day, the newest day first."""
        rows = self._rows(statistic_statement(query))
        if len(rows) > MAX_STATISTICS:
            raise BadRequestError(
                f"There are more than {MAX_STATISTICS:,} days of processors: ask for a shorter "
                "time, or for one processor"
            )
        return [statistic_of(row) for row in rows]

    def close(self) -> None:
        """Closes the connections; another call would open new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _rows(self, asked: Statement) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(asked.text, asked.values)
            return list(cursor.fetchall())

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        try:
            pool = self._opened()
            if not self._is_migrated:  # no worker may have been here before
                apply_migrations(pool)
                self._is_migrated = True
            with statement(pool) as cursor:
                yield cursor
        except RowsAwayError as exc:
            if self._is_migrated and isinstance(exc.__cause__, QueryCanceled):
                seconds = f"{self._patience.statement_s:g} seconds"
                raise BadRequestError(
                    f"The query took longer than {seconds}: narrow its filters, or leave out "
                    "include_total and include_event"
                ) from exc
            raise UnavailableError(AWAY) from exc
        except (RowsRefusedError, ChangedMigrationError) as exc:  # no fault of who asks
            self._is_migrated = False  # it may have been another database meanwhile, or a new one
            log.error("runs.refused", exc_info=exc)
            raise UnavailableError(REFUSED) from exc

    def _opened(self) -> ConnectionPool[HurriedConnection]:
        if self._url is None:
            raise UnavailableError(UNSET)
        with self._lock:
            if self._pool is None:
                self._pool = hurried_pool(self._url, self._patience)
            return self._pool
