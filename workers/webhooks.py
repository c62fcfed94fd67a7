"""The Celery task that delivers what waits: a nudge or the sweep of Beat sends its message."""

import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from celery import Celery, Task
from kombu.exceptions import OperationalError
from pymongo.errors import PyMongoError

from app.broker import HANDLERS_QUEUE
from app.database import is_away
from app.deliveries.expansion import Expansion
from app.deliveries.post import Post
from app.receipts.nudge import DISPATCH_TASK
from app.receipts.outbox import ReceiptOutbox
from app.webhooks.channel import Channel
from workers import process, shutdown
from workers.celery_app import app
from workers.delivery.address_book import StoredAddressBook
from workers.delivery.desk import CALL_EVERY, Source
from workers.delivery.run import Office, Runner
from workers.process import WorkerProcess

log = structlog.get_logger(__name__)

# The task that serves each channel in here.
HANDLERS: Final = {
    Channel.CACHE: "waybill.invalidate_caches",
    Channel.SCHEMA: "waybill.update_schemas",
}

_runners: dict[int, Runner] = {}
_opening: dict[int, threading.Lock] = {}


@app.task(bind=True, name=DISPATCH_TASK)
def dispatch_webhooks(self: Task) -> None:
    """Makes deliveries of what happened and sends those that are due, until none has been for a
    while. Any number of these tasks may run, anywhere: one process has one run at a time.
    """
    try:
        _runner(self.app).run(shutdown.has_begun)
    except PyMongoError as exc:
        if not is_away(exc):
            raise
        log.warning("delivery.waits_for_mongodb", error=type(exc).__name__)


def _runner(celery: Celery) -> Runner:
    """The one of this process."""
    pid = os.getpid()
    with _opening.setdefault(pid, threading.Lock()):
        if pid not in _runners:
            _runners[pid] = Runner(office(process.current(celery), celery))
        return _runners[pid]


def office(worker: WorkerProcess, celery: Celery) -> Office:
    """What the dispatcher works on, over the stores of this process."""
    database, settings, receipts = worker.database, worker.settings, worker.ledger.receipts
    post = Post.open(database, settings)
    first_delay = timedelta(seconds=settings.webhook_retry_delays_s[0])
    expansion = Expansion(
        database,
        ReceiptOutbox(receipts),
        post.webhooks,
        post.deliveries,
        post.mailboxes,
        first_delays={
            Channel.WEBHOOK: first_delay,
            Channel.CALLBACK: first_delay,
            Channel.CACHE: timedelta(0),
            Channel.SCHEMA: timedelta(seconds=settings.schema_debounce_s),
        },
        retention=post.retention,
    )
    source = Source(
        hear=receipts.cache.nudge.heard,
        expand=expansion.run,
        call=_caller(celery),
        count=receipts.cache.tally.add,
    )
    return Office(
        settings,
        post.deliveries,
        post.mailboxes,
        StoredAddressBook(post.webhooks, post.callback_secrets, settings),
        source,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


def _caller(celery: Celery) -> Callable[[Channel], None]:
    """Sends the message of a channel's handler; where it is lost, the next look sends another."""

    def call(channel: Channel) -> None:
        try:
            celery.send_task(
                HANDLERS[channel],
                queue=HANDLERS_QUEUE,
                expires=CALL_EVERY.total_seconds(),
                ignore_result=True,
                retry=False,
            )
        except (OperationalError, OSError) as exc:
            log.warning("handler.call_failed", channel=channel, error=type(exc).__name__)

    return call
