"""MongoDB that steps down or is killed under running workers: writes are made again, none twice."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from celery import Celery
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from app.broker import celery_configuration
from app.database import Document, connect
from app.embedded.layout import Layout
from app.embedded.port import free_ports
from app.receipts.ledger import Ledger
from app.receipts.receipt import Receipt
from app.settings import Settings
from tests.integration.receipts import check_document
from tests.integration.worker.celery_process import MongoContainer
from tests.integration.worker.fleet import (
    Desk,
    Fleet,
    beat,
    control_worker,
    environment,
    jobs_worker,
)

DATABASE = "test_outage"
STEPS = 120  # a few seconds: the outage comes in their middle
STEPPED_DOWN_S = 3


@dataclass(frozen=True, slots=True)
class Outpost:
    """A fleet with a MongoDB of its own, on another database of the same broker."""

    mongo: MongoContainer
    desk: Desk

    def pids(self) -> list[str]:
        """Of the parents of all workers, and of Beat."""
        fleet = self.desk.fleet
        return [each.id for each in (fleet.control, fleet.beat, *fleet.workers)]

    def under_way(self) -> list[Receipt]:
        """Jobs that commit steps, one for each slot, all begun."""
        receipts = [self.desk.submit("test_stepping", STEPS) for _ in range(2)]
        for receipt in receipts:
            self.desk.began(receipt, "step 3")
        return receipts


@pytest.fixture(scope="module")
def outpost(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outpost]:
    folder = tmp_path_factory.mktemp("outpost")
    layout = Layout(folder)
    layout.make()
    fleet.revive()
    mongo = MongoContainer(layout, free_ports(1)[0])
    redis_url = fleet.broker.url.removesuffix("/0") + "/1"
    settings = Settings(mongo_url=mongo.url, mongo_database=DATABASE, redis_url=redis_url)
    celery = Celery("outpost", set_as_current=False)
    celery.conf.update(celery_configuration(settings))
    try:
        mongo.ready()
        env = environment(mongo.url, DATABASE, redis_url)
        own = Fleet(
            broker=fleet.broker,
            workers=(jobs_worker("o1", folder, env),),
            control=control_worker(folder, env),
            beat=beat(folder, env),
            folder=folder,
            env=env,
        )
        try:
            database = connect(settings, role="test", wait_s=60, answer_s=60)
            ledger = Ledger.open(settings, database, celery)
            ledger.receipts.ensure_indexes()
            own.revive()
            yield Outpost(mongo, Desk(own, ledger, database, celery))
            database.client.close()
        finally:
            for each in (own.control, own.beat, *own.workers):
                each.teardown()
    finally:
        mongo.teardown()
        celery.close()


def all_once(desk: Desk, receipts: list[Receipt]) -> None:
    """Each task ends COMPLETED, each of its steps stored once."""
    for receipt in receipts:
        ended = desk.ended(receipt)
        assert ended.status == "COMPLETED", ended.error_message
        # Not in their order: a MongoDB that was killed applies its oplog side by side.
        steps = Counter(each["what"] for each in desk.effects(receipt))
        assert steps == Counter(f"step {number}" for number in range(1, STEPS + 1))
        assert ended.progress is not None
        assert ended.progress.percent == 100.0
        check_document(desk.document(receipt))


def test_a_primary_that_steps_down_costs_no_step(outpost: Outpost) -> None:
    desk, pids = outpost.desk, outpost.pids()
    receipts = outpost.under_way()
    with MongoClient[Document](outpost.mongo.url) as client:
        term = client.admin.command("replSetGetStatus")["term"]
        with suppress(AutoReconnect):  # it may close its connections
            client.admin.command(
                "replSetStepDown", STEPPED_DOWN_S, secondaryCatchUpPeriodSecs=0, force=True
            )
        all_once(desk, receipts)
        assert client.admin.command("replSetGetStatus")["term"] > term
    assert outpost.pids() == pids


def test_a_mongodb_that_is_killed_costs_no_step_and_no_worker(outpost: Outpost) -> None:
    desk, pids = outpost.desk, outpost.pids()
    receipts = outpost.under_way()
    outpost.mongo.kill()
    outpost.mongo.restart()
    assert outpost.mongo.ready()
    all_once(desk, receipts)
    assert desk.ended(desk.submit("test_count")).status == "COMPLETED"
    assert outpost.pids() == pids
    fleet = desk.fleet
    assert {each.status for each in (fleet.control, fleet.beat, *fleet.workers)} == {"running"}
