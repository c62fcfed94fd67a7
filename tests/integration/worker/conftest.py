"""pytest-celery's fixtures over the processes of one fleet, which all worker tests share."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from pymongo import MongoClient
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestBackend,
    CeleryTestBroker,
    CeleryTestSetup,
    CeleryWorkerCluster,
)

from app.broker import celery_configuration
from app.database import Document, connect
from app.embedded.layout import Layout
from app.embedded.port import free_ports
from app.receipts.ledger import Ledger
from app.settings import Settings
from tests.integration import sudden_death
from tests.integration.worker.celery_process import TestWorker, ValkeyContainer
from tests.integration.worker.fleet import (
    Desk,
    Fleet,
    beat,
    control_worker,
    environment,
    jobs_worker,
)


class Setup(CeleryTestSetup):  # type: ignore[misc] # untyped package
    """The test's own Celery application speaks to the broker as the API does."""

    @classmethod
    def update_app_config(cls, app: Celery) -> None:
        app.conf.update(celery_configuration(Settings(redis_url=app.conf.broker_url)))


@pytest.fixture(scope="session")
def fleet_database(mongo: MongoClient[Document]) -> Iterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    yield name
    mongo.drop_database(name)


@pytest.fixture(scope="session")
def fleet(
    mongo_url: str, fleet_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    layout = Layout(folder)
    layout.make()
    broker = ValkeyContainer(layout, free_ports(1)[0])
    broker.ready()
    env = environment(mongo_url, fleet_database, broker.url)
    env[sudden_death.VARIABLE] = str(folder / "deaths")
    fleet = Fleet(
        broker=broker,
        workers=tuple(jobs_worker(name, folder, env) for name in ("w1", "w2")),
        control=control_worker(folder, env),
        beat=beat(folder, env),
        folder=folder,
        env=env,
    )
    yield fleet
    for container in reversed(fleet.everybody()):
        container.teardown()


@pytest.fixture
def celery_setup_cls() -> type[CeleryTestSetup]:
    return Setup


@pytest.fixture
def celery_broker_cluster(fleet: Fleet) -> CeleryBrokerCluster:
    return CeleryBrokerCluster(CeleryTestBroker(fleet.broker))


@pytest.fixture
def celery_backend_cluster(fleet: Fleet) -> CeleryBackendCluster:
    return CeleryBackendCluster(CeleryTestBackend(fleet.broker))


@pytest.fixture
def celery_worker_cluster(fleet: Fleet) -> CeleryWorkerCluster:
    return CeleryWorkerCluster(*(TestWorker(each, None) for each in fleet.workers))


@pytest.fixture
def desk(fleet: Fleet, celery_setup: Any, mongo_url: str, fleet_database: str) -> Iterator[Desk]:
    """The fleet is complete and ready when a test begins, whatever the last one did to it."""
    fleet.revive()
    assert celery_setup.ready(docker=True)
    settings = Settings(
        mongo_url=mongo_url, mongo_database=fleet_database, redis_url=fleet.broker.url
    )
    database = connect(settings, role="test", wait_s=5, answer_s=30)
    ledger = Ledger.open(settings, database, celery_setup.app)
    ledger.receipts.ensure_indexes()
    desk = Desk(fleet, ledger, database, celery_setup.app)
    yield desk
    desk.leave()
    database.client.close()
    celery_setup.app.close()
