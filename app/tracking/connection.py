"""Connections that do not wait for ever."""

from typing import Any

from psycopg import Connection
from psycopg.abc import PQGen


class HurriedConnection(Connection[Any]):
    """A connection that gives up a server which neither answers nor goes away."""

    answer_within_s: float | None = None

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, self.answer_within_s if timeout is None else timeout)
