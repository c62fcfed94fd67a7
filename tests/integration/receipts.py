"""Ledgers over the session's servers, and short ways to make and look at receipts."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any, Final, TypeVar

from celery import Celery
from pymongo.database import Database
from redis import Redis

from app.broker import celery_configuration
from app.database import Document
from app.embedded.layout import Layout
from app.embedded.port import free_ports
from app.embedded.valkey import Valkey
from app.receipts.cache import ReceiptCache
from app.receipts.ledger import Ledger, Times
from app.receipts.nudge import Nudge
from app.receipts.publisher import Publisher
from app.receipts.quota import COLLECTION as NAMESPACES
from app.receipts.quota import NO_QUOTA, Quota
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TERMINAL, TRANSITIONS, TaskStatusEnum
from app.receipts.store import Ending, Holder, ReceiptStore
from app.receipts.transition import TOLD
from app.resources.namespace import NamespaceStore
from app.settings import Settings
from tests.polling import poll

LEASE: Final = timedelta(seconds=60)
NO_TIME: Final = timedelta(0)
DAY_S: Final = 86_400
# What may change on a receipt without a new version: who sends or holds it, not what it says.
UNVERSIONED: Final = ("published_at", "lease")

COMPLETED: Final = Ending(TaskStatusEnum.COMPLETED, outputs=[{"n": 1}])

T = TypeVar("T")


def sender(redis_url: str) -> Celery:
    """A Celery that sends messages through this broker."""
    celery = Celery("test", set_as_current=False)
    celery.conf.update(celery_configuration(Settings(redis_url=redis_url)))
    return celery


@contextmanager
def opened(
    database: Database[Document],
    redis_url: str,
    *,
    lease: timedelta = LEASE,
    retention: timedelta = timedelta(days=90),
    lost_after: timedelta = NO_TIME,
    grace: timedelta = NO_TIME,
    patience: timedelta = NO_TIME,
    quota: Quota = NO_QUOTA,
) -> Iterator[Ledger]:
    """A ledger as a process has it, with times that a test chooses."""
    celery = sender(redis_url)
    with Redis.from_url(redis_url, socket_timeout=5) as redis:
        receipts = ReceiptStore(
            database,
            ReceiptCache(redis, Nudge(redis, celery), ttl_s=DAY_S),
            lease=lease,
            retention=retention,
            patience=patience,
        )
        yield Ledger.over(receipts, Publisher(celery), Times(lease, grace, lost_after), quota=quota)
    celery.close()


def brief(ledger: Ledger) -> Ledger:
    """The same receipts, where a claim's lease ends as soon as it begins."""
    receipts = ReceiptStore(
        ledger.receipts.tasks.database,
        ledger.cache,
        lease=NO_TIME,
        retention=timedelta(days=90),
    )
    return Ledger.over(receipts, ledger.publisher, Times(NO_TIME, NO_TIME, NO_TIME))


def new_task(**changes: Any) -> NewTask:
    """A run request; each test that cares for its queue names one of its own."""
    fields: dict[str, Any] = {
        "task_type": "test_job",
        "namespace_id": "ns_test",
        "inputs": ["a"],
        "actor": "key:test",
        "additional_data": {},
        "max_attempts": 3,
        "queue": "test.jobs",
        **changes,
    }
    return NewTask(**fields)


def limit_tasks(
    ledger: Ledger,
    namespace_id: str = "ns_test",
    *,
    max_running: int | None = None,
    max_pending: int | None = None,
) -> None:
    """Gives a namespace these limits, and makes its tasks follow them, as the API does."""
    database = ledger.receipts.tasks.database
    named = {"$setOnInsert": {"namespace_name": namespace_id}}  # names are unique
    database[NAMESPACES].update_one({"_id": namespace_id}, named, upsert=True)
    limits = {"max_running": max_running, "max_pending": max_pending}
    NamespaceStore(database).change_quota(namespace_id, limits)
    ledger.submission.change_quota(namespace_id)


def create(ledger: Ledger, **changes: Any) -> Receipt:
    """One PENDING receipt."""
    return ledger.receipts.create([new_task(**changes)])[0]


def holder(worker: str = "w1") -> Holder:
    """Somebody who claims, with a token that nobody had before."""
    return Holder(secrets.token_hex(8), worker, f"keeper-{worker}", secrets.token_hex(4))


def claim(ledger: Ledger, receipt: Receipt, by: Holder | None = None) -> tuple[Receipt, Holder]:
    """Claims what can be claimed."""
    by = by or holder()
    claimed = ledger.receipts.claim(receipt.task_id, by)
    assert claimed is not None
    return claimed, by


def expired(ledger: Ledger, task_id: str) -> Receipt:
    """The task once the reaper has moved it on; its lease must have ended or be about to."""
    reaped = poll(
        lambda: [each for each in ledger.leases.reap() if each.task_id == task_id],
        description=f"the reaper moves {task_id} on",
        within_s=10,
    )
    assert len(reaped) == 1
    return reaped[0]


def stored(ledger: Ledger, task_id: str) -> Document:
    """All that MongoDB holds of a task."""
    document = ledger.receipts.tasks.find_one({"_id": task_id})
    assert document is not None
    return document


def moves(ledger: Ledger, task_id: str) -> list[str]:
    """The statuses that a task went through, in order."""
    return [entry["to"] for entry in stored(ledger, task_id)["history"]]


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """What `count` threads return that start together, in order."""
    barrier = Barrier(count)

    def run(index: int) -> T:
        barrier.wait(timeout=30)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def check_document(document: Document) -> None:
    """Holds of every stored receipt at every moment, by the contract."""
    status = TaskStatusEnum(document["status"])
    history: Sequence[Document] = document["history"]
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1))
    assert history[0]["from"] is None
    assert history[-1]["to"] == status
    assert [entry["at"] for entry in history] == sorted(entry["at"] for entry in history)
    for before, after in pairwise(history):
        assert after["from"] == before["to"]
        assert TaskStatusEnum(after["to"]) in TRANSITIONS[TaskStatusEnum(after["from"])]
    assert document["attempt"] == [entry["to"] for entry in history].count("PROCESSING")
    assert 0 <= document["returns"] <= document["attempt"]
    assert document["attempt"] - document["returns"] <= document["max_attempts"]
    assert (document["started_at"] is None) == (document["attempt"] == 0)
    if status in TERMINAL:
        assert document["lease"] is None
        assert document["ended_at"] == history[-1]["at"]
        assert document["expire_at"] > document["ended_at"]
    else:
        assert document["ended_at"] is None
        assert "expire_at" not in document
        running = status is TaskStatusEnum.PROCESSING and document["fan_out"] is None
        assert document["lease"] is not None or not running
        assert document["lease"] is None or status is TaskStatusEnum.PROCESSING
    check_untold(document)


def check_untold(document: Document) -> None:
    """Whatever others are to be told of is found; of children nobody is told."""
    news = [
        entry
        for entry in document["history"][document["told"] :]
        if entry["from"] is None or TaskStatusEnum(entry["to"]) in TOLD
    ]
    if document["parent_task_id"] is not None:
        assert "untold_since" not in document
    elif news:
        assert document["untold_since"] <= news[0]["at"]


def check_step(before: Document, after: Document) -> None:
    """Holds between two moments of one receipt, whatever was called between them."""
    check_document(after)
    assert after["history"][: len(before["history"])] == before["history"]
    if before["status"] in TERMINAL:
        assert after == before
    said = [{k: v for k, v in each.items() if k not in UNVERSIONED} for each in (before, after)]
    if said[0] != said[1]:
        assert after["version"] > before["version"]
    if before["cancellation"] is not None:
        asked = ("actor", "reason", "requested_at")
        assert all(after["cancellation"][key] == before["cancellation"][key] for key in asked)
        assert after["attempt"] == before["attempt"]


def own_valkey(folder: Path) -> tuple[Layout, Valkey]:
    """A server that a test may stop and start, not started yet; it keeps its port and data."""
    layout = Layout(folder)
    layout.make()
    return layout, Valkey(layout, free_ports(1)[0])
