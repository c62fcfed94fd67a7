"""Connections of who cannot wait: few, and none that a hanging PostgreSQL holds for long."""

from dataclasses import dataclass
from typing import Final

from psycopg_pool import ConnectionPool

from app.tracking.client import CONNECT_WITHIN_S
from app.tracking.connection import HurriedConnection

# Together a part of the threads that serve requests: a PostgreSQL that hangs leaves the others.
CONNECTIONS: Final = 4
WAITING: Final = 12
RETRY_WITHIN_S: Final = 1.0  # of a connection that was not made, before the next one who asks


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a question may take (seconds): for a connection, for PostgreSQL to give its
    statement up, as that of every list, and for one that does not even do that.
    """

    connection_s: float = 2.0
    statement_s: float = 5.0
    answer_s: float = 6.0


def hurried_pool(url: str, patience: Patience) -> ConnectionPool[HurriedConnection]:
    """A pool over `url` of few connections, made when they are needed."""

    def configure(connection: HurriedConnection) -> None:
        connection.answer_within_s = patience.answer_s

    return ConnectionPool(
        url,
        connection_class=HurriedConnection,
        kwargs={
            "autocommit": True,  # a statement alone costs one round trip, not three
            "connect_timeout": CONNECT_WITHIN_S,
            "options": f"-c statement_timeout={patience.statement_s * 1000:.0f} -c timezone=UTC",
            "application_name": "waybill-api",
        },
        configure=configure,
        min_size=0,
        max_size=CONNECTIONS,
        max_waiting=WAITING,
        timeout=patience.connection_s,
        reconnect_timeout=RETRY_WITHIN_S,
        check=ConnectionPool.check_connection,
        name="waybill-runs",
        open=True,
    )
