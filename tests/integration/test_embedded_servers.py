"""The embedded servers: they start, keep data over restarts and other ports, and stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from app.embedded import record
from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.port import free_ports
from app.embedded.postgres import Postgres
from app.embedded.server import Server, running
from app.embedded.valkey import Valkey

Make = Callable[[Layout, int], Server]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "data of ours")  # a space, to see what quoting it meets
    layout.make()
    return layout


@contextmanager
def started(make: Make, layout: Layout) -> Iterator[Server]:
    (port,) = free_ports(1)
    server = make(layout, port)
    with running(layout, [server]):
        yield server


def listening(pid: int) -> set[str]:
    """The addresses a process takes connections at."""
    connections = psutil.Process(pid).net_connections(kind="all")
    return {
        connection.laddr if isinstance(connection.laddr, str) else connection.laddr.ip
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    }


def kill(layout: Layout) -> None:
    for entry in record.read(layout.processes):
        psutil.Process(entry.pid).kill()


def test_mongo_is_a_replica_set_with_transactions_on_every_port(layout: Layout) -> None:
    for count in range(3):
        with started(Mongo, layout) as server, mongo(server) as client:
            with client.start_session() as session, session.start_transaction():
                client.trial.notes.insert_one({"count": count}, session=session)
            assert client.trial.notes.count_documents({}) == count + 1


def test_mongo_keeps_what_the_majority_had_through_sigkill(layout: Layout) -> None:
    with started(Mongo, layout) as server, mongo(server) as client:
        client.trial.notes.insert_one({"_id": "kept"})
        kill(layout)
    with started(Mongo, layout) as server, mongo(server) as client:
        assert client.trial.notes.count_documents({"_id": "kept"}) == 1


def test_a_first_start_of_mongo_that_was_cut_short_is_begun_anew(layout: Layout) -> None:
    with started(Mongo, layout):
        pass
    (layout.data_dir / "mongo" / "complete").unlink()  # as if killed before there was a user
    with started(Mongo, layout) as server, mongo(server) as client:
        assert client.admin.command("hello")["isWritablePrimary"] is True


def test_mongo_refuses_strangers(layout: Layout) -> None:
    with started(Mongo, layout) as server:
        address = server.url.partition("@")[2]
        client: MongoClient[dict[str, Any]] = MongoClient(f"mongodb://{address}")
        with client, pytest.raises(OperationFailure, match="requires authentication"):
            client.trial.notes.find_one()


def test_valkey_keeps_its_data_over_a_restart_and_refuses_strangers(layout: Layout) -> None:
    with started(Valkey, layout) as server, redis.Redis.from_url(server.url) as cache:
        cache.set("trial", "kept")
    with started(Valkey, layout) as server, redis.Redis.from_url(server.url) as cache:
        assert cache.get("trial") == b"kept"
        stranger = redis.Redis.from_url(f"redis://{server.url.partition('@')[2]}")
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("trial")


def test_postgres_keeps_its_data_over_a_restart_and_refuses_strangers(layout: Layout) -> None:
    with started(Postgres, layout) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE trial AS SELECT 'kept' AS text")
    with started(Postgres, layout) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT text FROM trial").fetchone() == ("kept",)
        address = server.url.partition("@")[2]
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://waybill@{address}")


def test_postgres_starts_over_the_pid_file_of_a_killed_one(layout: Layout) -> None:
    with started(Postgres, layout):
        pass
    pid_file = layout.data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text("1\n")  # a number that lives, as after a crash and much time
    with started(Postgres, layout) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("make", [Mongo, Valkey, Postgres])
def test_servers_listen_on_the_loopback_only_and_end(make: Make, layout: Layout) -> None:
    with started(make, layout) as server:
        (entry,) = record.read(layout.processes)
        assert entry.role == server.role
        assert listening(entry.pid) == {"127.0.0.1"}
    assert not psutil.pid_exists(entry.pid)
    assert record.read(layout.processes) == []


@contextmanager
def mongo(server: Server) -> Iterator[MongoClient[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(server.url)
    with client:
        yield client
