"""LazyPool: connections that are made when needed, and none that is kept when it is of no use."""

import os
import signal
from contextlib import closing

import pytest

from app.tracking.client import RowsAwayError, statement
from app.tracking.pool import LazyPool
from tests.integration.tracking import cut


def answers(pool: LazyPool) -> bool:
    with statement(pool) as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def test_what_is_given_back_is_given_out_again(postgres_url: str) -> None:
    with closing(LazyPool(postgres_url, most=1)) as pool:
        first = pool.getconn()
        pool.putconn(first)
        assert pool.getconn() is first
        first.execute("BEGIN")
        pool.putconn(first)  # in a transaction that nobody will end
        assert first.closed
        assert answers(pool)


def test_a_connection_in_use_while_the_pool_is_closed_is_closed_after_it(postgres_url: str) -> None:
    pool = LazyPool(postgres_url, most=2)
    used, idle = pool.getconn(), pool.getconn()
    pool.putconn(idle)
    pool.close()
    assert (used.closed, idle.closed) == (False, True)
    pool.putconn(used)
    assert used.closed
    assert answers(pool)  # a call that was on its way
    again = pool.getconn()
    pool.putconn(again)
    assert again.closed
    pool.close()


def test_one_lost_connection_tells_of_all_that_are_idle(postgres_url: str) -> None:
    with closing(LazyPool(postgres_url, most=4)) as pool:
        for connection in [pool.getconn() for _ in range(4)]:
            pool.putconn(connection)
        cut(postgres_url)
        with pytest.raises(RowsAwayError):
            answers(pool)
        assert answers(pool)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_block_takes_no_connection_away(
    interruption: type[BaseException], postgres_url: str
) -> None:
    with closing(LazyPool(postgres_url, most=1)) as pool:
        for _ in range(2):
            with pytest.raises(interruption), statement(pool):
                raise interruption
        assert answers(pool)


def test_a_server_that_hangs_is_given_up(postgres_url: str) -> None:
    with closing(LazyPool(postgres_url, most=1, answer_within_s=0.5)) as pool:
        connection = pool.getconn()
        process_id = connection.info.backend_pid
        pool.putconn(connection)
        os.kill(process_id, signal.SIGSTOP)
        try:
            with pytest.raises(RowsAwayError):
                answers(pool)
            assert connection.closed
        finally:
            os.kill(process_id, signal.SIGCONT)
        assert answers(pool)
