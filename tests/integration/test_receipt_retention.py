"""A receipt stays for its retention after its end, and for ever before it."""

from datetime import timedelta

import pytest
from celery import Celery
from pymongo.database import Database
from redis import Redis

from app.broker import celery_configuration
from app.database import Document, connect
from app.receipts.ledger import Ledger
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import Ending
from app.settings import Settings
from tests.integration.receipts import DAY_S, claim, create, stored

FORGETS = "expireAfterSeconds"


def end(ledger: Ledger, status: TaskStatusEnum) -> Document:
    receipt, by = claim(ledger, create(ledger))
    ledger.receipts.finish(receipt.task_id, by.token, Ending(status), worker=by.worker)
    return stored(ledger, receipt.task_id)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_retention_runs_from_the_end(ledger: Ledger, status: TaskStatusEnum) -> None:
    document = end(ledger, status)
    assert document["expire_at"] - document["ended_at"] == timedelta(days=90)


def test_what_has_not_ended_never_expires(ledger: Ledger) -> None:
    waiting = create(ledger)
    running, by = claim(ledger, create(ledger))
    for receipt in (waiting, running):
        ledger.cancellations.request(receipt.task_id, actor="key:ops", reason=None)
        assert "expire_at" not in stored(ledger, receipt.task_id)
    assert by.token == stored(ledger, running.task_id)["last_token"]


def test_ninety_days_and_a_day_of_copies_are_the_defaults(
    mongo_url: str, redis_url: str, database: Database[Document]
) -> None:
    settings = Settings(mongo_url=mongo_url, mongo_database=database.name, redis_url=redis_url)
    own = connect(settings, role="test", wait_s=5, answer_s=30)
    celery = Celery("test", set_as_current=False)
    celery.conf.update(celery_configuration(settings))
    ledger = Ledger.open(settings, own, celery)
    document = end(ledger, TaskStatusEnum.COMPLETED)
    assert document["expire_at"] - document["ended_at"] == timedelta(days=90)
    with Redis.from_url(redis_url) as redis:
        assert 0 < redis.ttl(f"waybill:task:{document['_id']}") <= DAY_S
    own.client.close()
    celery.close()


def test_mongodb_is_told_to_forget_by_that_time_and_no_other(ledger: Ledger) -> None:
    ledger.receipts.ensure_indexes()
    indexes = ledger.receipts.tasks.index_information().values()
    forgets = [(each["key"], each["expireAfterSeconds"]) for each in indexes if FORGETS in each]
    assert forgets == [([("expire_at", 1)], 0)]
