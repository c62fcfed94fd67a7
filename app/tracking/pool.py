"""Connections of this process to one PostgreSQL, made when they are needed.

psycopg_pool waits longer and longer before it connects again, five minutes in the end, and its
queue of waiting threads takes a fifth of the time of 64 threads that share eight connections
(`python -m bench tracking`). This one connects as soon as somebody asks.
"""

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from app.tracking.client import CONNECT_WITHIN_S, CONNECTION_WITHIN_S, STATEMENT_WITHIN_S
from app.tracking.connection import HurriedConnection

# A server that is gone without a word is taken for lost after this, not after hours.
SILENT_WITHIN_MS: Final = 30_000
# One that hangs, and does not even give a statement up, after this.
ANSWER_WITHIN_S: Final = STATEMENT_WITHIN_S + 5.0


class PoolInUseError(psycopg.OperationalError):
    """All connections were in use for too long."""


class LazyPool:
    """At most `most` connections, the one that was used last given out first; thread-safe."""

    def __init__(self, url: str, *, most: int, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._url = url
        self._answer_within_s = answer_within_s
        self._idle: deque[psycopg.Connection[Any]] = deque()
        # Taken out while a connection is in use; only a queue in C is cheap to wait for.
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._turns.put(None)
        self._is_closed = False

    def getconn(self) -> psycopg.Connection[Any]:
        """A connection, idle or new; a driver's error where there can be none."""
        try:
            self._turns.get(timeout=CONNECTION_WITHIN_S)
        except Empty as exc:
            raise PoolInUseError("All connections are in use") from exc
        with suppress(IndexError):  # none is idle
            return self._idle.pop()
        try:
            return self._connect()
        except BaseException:
            self._turns.put(None)
            raise

    def putconn(self, conn: psycopg.Connection[Any], /) -> None:
        """Takes it back, if the next transaction can begin on it."""
        try:
            self._take_back(conn)
        finally:
            self._turns.put(None)

    def close(self) -> None:
        """Closes what is idle, and later what is in use; safe to repeat.

        Who asks for a connection after that has one of its own, which is closed after it.
        """
        self._is_closed = True
        self._drop_idle()

    def _take_back(self, conn: psycopg.Connection[Any]) -> None:
        if conn.closed:
            self._drop_idle()  # what broke it, such as a restart, may have broken these as well
        elif conn.info.transaction_status is not TransactionStatus.IDLE:
            conn.close()
        else:
            self._idle.append(conn)
            if self._is_closed:  # asked last, since close() may run at the same time
                self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = HurriedConnection.connect(
            self._url,
            autocommit=True,  # a statement alone costs one round trip, not three
            connect_timeout=CONNECT_WITHIN_S,
            options=f"-c statement_timeout={STATEMENT_WITHIN_S * 1000}",
            application_name="waybill",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=SILENT_WITHIN_MS,
        )
        connection.answer_within_s = self._answer_within_s
        return connection
