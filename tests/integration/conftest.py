"""Real servers for the tests of one session, and a fresh database for each test."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from psycopg.sql import SQL, Identifier
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from redis import Redis

from app.access.permission import Permission
from app.database import AS_STORED, MAJORITY, Document
from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.port import LOOPBACK, accepts, free_ports
from app.embedded.postgres import Postgres
from app.embedded.server import running
from app.embedded.valkey import Valkey
from app.main import create_app
from app.receipts.ledger import Ledger
from app.settings import Settings
from app.stores import Stores
from tests.integration.receipts import opened
from tests.integration.world import Side, World, peopled
from tests.polling import poll

SECRET_KEY = "a key for tests alone, of 32 characters or more"


@pytest.fixture(scope="session")
def _servers(server_folder: Path) -> Iterator[tuple[str, str]]:
    layout = Layout(server_folder / "servers")
    layout.make()
    mongo_port, redis_port = free_ports(2)
    mongo, valkey = Mongo(layout, mongo_port), Valkey(layout, redis_port)
    with running(layout, [mongo, valkey]):
        yield mongo.url, valkey.url


@pytest.fixture(scope="session")
def mongo_url(_servers: tuple[str, str]) -> str:
    """MongoDB, a replica set of one."""
    return _servers[0]


@pytest.fixture(scope="session")
def redis_url(_servers: tuple[str, str]) -> str:
    """Valkey, which speaks Redis's protocol."""
    return _servers[1]


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """PostgreSQL, started for the first test that needs it."""
    layout = Layout(server_folder / "postgres-server")
    layout.make()
    (port,) = free_ports(1)
    server = Postgres(layout, port)
    with running(layout, [server]):
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database of this test alone, dropped after it."""
    with postgres_database(postgres) as url:
        yield url


@contextmanager
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """An empty database at the URL, dropped after the block."""
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    yield postgres.url.removesuffix("/postgres") + f"/{name}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="session")
def mongo(mongo_url: str) -> Iterator[MongoClient[Document]]:
    """One client for the session, as the application makes it."""
    with MongoClient[Document](mongo_url, tz_aware=True, type_registry=AS_STORED) as client:
        yield client


@pytest.fixture
def database(mongo: MongoClient[Document]) -> Iterator[Database[Document]]:
    """An empty database of this test alone, dropped after it."""
    name = f"test_{secrets.token_hex(8)}"
    yield mongo.get_database(name, write_concern=MAJORITY, read_concern=ReadConcern("majority"))
    mongo.drop_database(name)


@pytest.fixture
def ledger(database: Database[Document], redis_url: str) -> Iterator[Ledger]:
    """The receipts of this test alone."""
    with opened(database, redis_url) as ledger:
        yield ledger


@pytest.fixture
def queue() -> str:
    """A queue that no other test writes to."""
    return f"test.{secrets.token_hex(6)}"


@pytest.fixture
def broker(redis_url: str) -> Iterator[Redis]:
    """What the broker holds."""
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def settings(mongo_url: str, redis_url: str, database: Database[Document]) -> Settings:
    """The settings of an API over the servers of this session and the database of this test."""
    values = {
        "mongo_url": mongo_url,
        "mongo_database": database.name,
        "redis_url": redis_url,
        "secret_key": SECRET_KEY,
    }
    return Settings.model_validate(values)  # the variables of whoever runs the tests stay out


@pytest.fixture
def api(settings: Settings) -> FastAPI:
    """The application, not started yet."""
    return create_app(settings)


@pytest.fixture
def api_url(api: FastAPI) -> Iterator[str]:
    """The API behind a real HTTP server."""
    with serving(api) as url:
        yield url


@pytest.fixture
def stores(api: FastAPI, api_url: str) -> Stores:
    """The stores of the running API."""
    found = api.state.stores
    assert isinstance(found, Stores)
    return found


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The app answers at the URL within the block."""
    (port,) = free_ports(1)
    config = uvicorn.Config(app, host=LOOPBACK, port=port, ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        poll(lambda: accepts(port), description="the API accepts connections", within_s=30)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.should_exit = True
        thread.join()


ClientMaker = Callable[..., httpx.Client]


@pytest.fixture
def client_for(api_url: str, stores: Stores) -> Iterator[ClientMaker]:
    """Makes clients, each with a key of its own: `client_for(Permission.READ, [namespace_id])`."""
    with ExitStack() as made:

        def make(
            permission: Permission = Permission.ADMIN,
            namespace_ids: list[str] | None = None,
            namespace: str | None = None,
        ) -> httpx.Client:
            plain = f"sk_{secrets.token_hex(16)}"
            stores.keys.register(plain, "test", permission, namespace_ids)
            headers = {"Authorization": f"Bearer {plain}"}
            if namespace is not None:
                headers["X-Namespace"] = namespace
            return made.enter_context(httpx.Client(base_url=api_url, headers=headers, timeout=30))

        yield make


@pytest.fixture
def client(client_for: ClientMaker) -> httpx.Client:
    """A client with an admin's key, working in the default namespace."""
    return client_for()


@pytest.fixture(scope="session")
def world(
    mongo: MongoClient[Document], mongo_url: str, redis_url: str, postgres: Postgres
) -> Iterator[World]:
    """One for all tests of isolation: they only add to it."""
    name = f"test_{secrets.token_hex(8)}"
    values = {
        "mongo_url": mongo_url,
        "mongo_database": name,
        "redis_url": redis_url,
        "secret_key": SECRET_KEY,
    }
    with postgres_database(postgres) as postgres_url:
        api = create_app(Settings.model_validate(values | {"postgres_url": postgres_url}))
        with serving(api) as url, peopled(api, url, mongo[name], postgres_url) as world:
            yield world
    mongo.drop_database(name)


@pytest.fixture
def ours(world: World) -> Side:
    """The namespace that a test works in."""
    return world.ours


@pytest.fixture
def theirs(world: World) -> Side:
    """The namespace that it must not reach."""
    return world.theirs
