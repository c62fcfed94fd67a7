"""What rows are stored through: any PEP 249 connection to PostgreSQL, or a pool of them.

The statements of this room use `%s` alone, which psycopg, psycopg2 and pg8000 all take. Drivers
have no common root of their errors; here they become two of ours.
"""

import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, Protocol, cast, runtime_checkable
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import tuple_row

from app.errors import PermanentError, TransientError

CONNECT_WITHIN_S: Final = 5
# A statement that waits longer than this is given up by the server, its connection lives on.
STATEMENT_WITHIN_S: Final = 30
CONNECTION_WITHIN_S: Final = 30.0  # from a pool whose connections are all in use
FREE_AGAIN_S: Final = 0.005  # between two looks at a pool that refuses where others wait

# PEP 249's names of errors that another try may not have, and psycopg2's of a pool in full use.
_AWAY: Final = frozenset({"OperationalError", "InterfaceError", "InternalError", "PoolError"})
_DRIVERS: Final = frozenset({"DatabaseError", "InterfaceError"})
# Lost connections, transactions to begin again, full resources, locks, operators, the system:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_AWAY_CLASSES: Final = frozenset({"08", "40", "53", "55", "57", "58"})

_CONNECTION_METHODS: Final = ("cursor", "commit", "rollback", "close")
_POOL_METHODS: Final = ("getconn", "putconn")


class Cursor(Protocol):
    """What a statement runs on."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, statement: Any, parameters: Any = ..., /) -> object: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...
    def close(self) -> object: ...


class Connection(Protocol):
    """A connection as PEP 249 has it; the tracker commits on it, so it is the tracker's own."""

    def cursor(self) -> Any: ...
    def commit(self) -> object: ...
    def rollback(self) -> object: ...
    def close(self) -> object: ...


@runtime_checkable
class Pool(Protocol):
    """A pool as psycopg_pool and psycopg2.pool have it."""

    def getconn(self) -> Any: ...
    def putconn(self, conn: Any, /) -> object: ...


RDSClient = Connection | Pool


LOST: Final = (
    "The connection to PostgreSQL is lost for good: close() the tracker and construct it with "
    "another connection, or with a pool"
)


class RowsAwayError(TransientError):
    """PostgreSQL cannot be reached; whether the transaction was stored is not known."""


class RowsRefusedError(PermanentError):
    """PostgreSQL refused the statement, and would refuse it again."""


def is_pool(client: RDSClient) -> bool:
    """Whether each statement may have a connection of its own."""
    return _is_kind_of_pool(type(client))


@cache  # a protocol is slow to ask, compared with a statement
def _is_kind_of_pool(kind: type) -> bool:
    return issubclass(kind, Pool)


def check_client(client: object) -> None:
    """`ValueError` where it is neither a connection nor a pool as they are used here."""
    names = _POOL_METHODS if isinstance(client, Pool) else _CONNECTION_METHODS
    methods = [getattr(client, name, None) for name in names]
    if all(callable(each) for each in methods) and not any(
        inspect.iscoroutinefunction(each) for each in methods
    ):
        return
    kind = f"{type(client).__module__}.{type(client).__qualname__}"
    raise ValueError(
        f"sql_client is not valid: a {kind} is neither a PEP 249 connection to PostgreSQL nor a "
        "pool of them (of psycopg, psycopg2 or pg8000, none of them async)"
    )


@contextmanager
def transaction(client: RDSClient) -> Iterator[Cursor]:
    """A cursor whose statements are committed together at the block's end, or not at all.

    Of a pool, each block has a connection; of one connection, one block at a time has it.
    `RowsAwayError` where the server cannot be reached or does not answer in time,
    `RowsRefusedError` where it refuses.
    """
    with _as_ours(client), _connection(client) as connection:
        # Such a connection commits each statement, whatever its commit() is called for.
        by_hand = bool(getattr(connection, "autocommit", False))
        with _committed(connection, by_hand=by_hand) as cursor:
            yield cursor


@contextmanager
def statement(client: RDSClient) -> Iterator[Cursor]:
    """A cursor for one statement alone: like `transaction`, and one round trip where it can."""
    with _as_ours(client), _connection(client) as connection:
        if getattr(connection, "autocommit", False):
            cursor = _cursor(connection)
            try:
                yield cursor
            finally:
                cursor.close()
        else:
            with _committed(connection, by_hand=False) as cursor:
                yield cursor


@contextmanager
def _as_ours(client: RDSClient) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        kind = _kind(exc)
        if kind is None:
            raise
        name = type(exc).__name__
        # pg8000's do not say that they are closed, and have this error of nothing else.
        if not is_pool(client) and getattr(client, "closed", name == "InterfaceError"):
            raise RowsAwayError(f"{LOST} ({name})") from exc
        raise kind(f"PostgreSQL did not store or answer ({name})") from exc


@contextmanager
def _connection(client: RDSClient) -> Iterator[Any]:
    if is_pool(client):
        pool = cast(Pool, client)
        connection = _taken(pool)
        try:
            yield connection
        finally:
            pool.putconn(connection)
    else:
        with _turns.of(cast(Connection, client)):
            yield client


def _taken(pool: Pool) -> Any:
    """A connection of the pool, once one is free: not every pool waits for it by itself."""
    deadline_s = time.monotonic() + CONNECTION_WITHIN_S
    while True:
        try:
            return pool.getconn()
        except Exception as exc:
            if type(exc).__name__ != "PoolError" or time.monotonic() > deadline_s:
                raise
        time.sleep(FREE_AGAIN_S)


@contextmanager
def _committed(connection: Connection, *, by_hand: bool) -> Iterator[Cursor]:
    cursor = _cursor(connection)
    try:
        if by_hand:
            cursor.execute("BEGIN")
        yield cursor
        if by_hand:
            cursor.execute("COMMIT")
        else:
            connection.commit()
    except BaseException:
        _undo(lambda: cursor.execute("ROLLBACK") if by_hand else connection.rollback())
        raise
    finally:
        cursor.close()


def _cursor(connection: Any) -> Cursor:
    """A cursor whose rows are tuples, whatever the connection's own make of them."""
    if isinstance(connection, psycopg.Connection):
        return connection.cursor(row_factory=tuple_row)
    factory = getattr(connection, "cursor_factory", None)  # psycopg2's, which makes dicts or tuples
    if factory is None:
        return cast(Cursor, connection.cursor())
    plain = [kind for kind in factory.__mro__ if kind.__name__ == "cursor"]
    return cast(Cursor, connection.cursor(cursor_factory=(*plain, factory)[0]))


def _undo(rollback: Callable[[], object]) -> None:
    try:
        rollback()
    except Exception as exc:
        if _kind(exc) is None:  # a connection that is gone has nothing to undo
            raise


def _kind(exc: Exception) -> type[RowsAwayError] | type[RowsRefusedError] | None:
    """Which of our errors a driver's stands for; None: it is no driver's."""
    names = {each.__name__ for each in type(exc).__mro__}
    if names & _AWAY or isinstance(exc, OSError):
        return RowsAwayError
    if not names & _DRIVERS:
        return None
    return RowsAwayError if _sqlstate(exc)[:2] in _AWAY_CLASSES else RowsRefusedError


def _sqlstate(exc: Exception) -> str:
    """PostgreSQL's code of the error where the driver tells it in place of a class of its own."""
    told = exc.args[0] if exc.args else None
    return str(told.get("C", "")) if isinstance(told, dict) else ""


class _Turns:
    """One lock for each connection that is used directly, for as long as the connection lives."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nobody has a turn; so in a process just forked."""
        self._lock = threading.Lock()
        self._locks: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()

    def of(self, connection: Connection) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(connection, threading.Lock())


_turns: Final = _Turns()
os.register_at_fork(after_in_child=_turns.begin)
