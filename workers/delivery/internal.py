"""Deliveries to handlers in here: Celery tasks that take the turn of their channel's mailbox."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

import structlog

from app.deliveries.attempt import Result
from app.deliveries.delivery import Delivery, ErrorKind
from app.deliveries.health import Health
from app.deliveries.mailbox import Mailbox, MailboxStore, Release, Turn
from app.deliveries.post import Post
from app.deliveries.retry import Schedule
from app.deliveries.store import DeliveryStore, Ending
from app.receipts.tally import Measure, added
from app.webhooks.channel import Channel
from workers import shutdown
from workers.process import WorkerProcess

log = structlog.get_logger(__name__)

# Handlers are idempotent: one that takes longer is run again, at the same time.
LEASE: Final = timedelta(seconds=60)
PAGE: Final = 500

Handler = Callable[[Sequence[Delivery]], None]


def serve(worker: WorkerProcess, channel: Channel, handle: Handler) -> None:
    """Has `handle` see all that is due on the channel, a page at a time, in order.

    What it raises fails the page, which is retried by the schedule of deliveries. Nothing happens
    where another process serves the channel.
    """
    post = Post.open(worker.database, worker.settings)
    schedule = Schedule(worker.settings.webhook_retry_delays_s)
    counter = _Counter(post.deliveries, post.mailboxes, handle, schedule)
    while not shutdown.has_begun() and counter.serve(channel):
        pass
    tally = worker.ledger.receipts.cache.tally
    tally.add(added(Measure.DELIVERED, "delivered", channel, counter.delivered))
    tally.add(added(Measure.DELIVERED, ErrorKind.HANDLER, channel, counter.failed))


@dataclass(slots=True)
class _Counter:
    """Serves turns, and counts what became of the deliveries."""

    deliveries: DeliveryStore
    mailboxes: MailboxStore
    handle: Handler
    schedule: Schedule
    delivered: int = 0
    failed: int = 0

    def serve(self, channel: Channel) -> bool:
        """Serves one turn; False where none was to be had."""
        turn = Turn(uuid.uuid4().hex, f"handler:{channel}", LEASE)
        taken = self.mailboxes.take(turn, limit=1, channels=[channel])
        for mailbox in taken:
            self.deliveries.recover([mailbox.mailbox_id], turn, at=self.mailboxes.now())
            health = self._pages(mailbox, turn)
            lost_by = self.mailboxes.now() + LEASE
            due_at = self.deliveries.next_due(mailbox.mailbox_id, lost_by=lost_by)
            release = Release(mailbox.mailbox_id, mailbox.rings, due_at, health)
            self.mailboxes.release(turn, [release])
        return bool(taken)

    def _pages(self, mailbox: Mailbox, turn: Turn) -> Health:
        health = mailbox.health
        while not shutdown.has_begun():
            now = self.mailboxes.now()
            rows = self.deliveries.due(mailbox.mailbox_id, now=now, limit=PAGE)
            if not rows:
                break
            begun = self.deliveries.begin(rows, turn, at=now)
            result = self._result(begun)
            now = self.mailboxes.now()
            health = health.after(result, at=now, pause=None)
            self.deliveries.end(self._endings(begun, result, health, now), turn)
            self.mailboxes.renew(turn)
        return health

    def _result(self, begun: Sequence[Delivery]) -> Result:
        try:
            self.handle(begun)
        # The edge of a handler: whatever it raises, the log of its deliveries says so.
        except Exception as exc:
            log.exception("delivery.handler_failed", deliveries=len(begun))
            self.failed += len(begun)
            error = f"The handler raised {type(exc).__name__}; the worker's log says more."
            return Result(error_kind=ErrorKind.HANDLER, error=error)
        self.delivered += len(begun)
        return Result()

    def _endings(
        self, begun: Sequence[Delivery], result: Result, health: Health, now: datetime
    ) -> list[Ending]:
        rng, failures = Random(), health.consecutive_failures
        return [
            Ending(each, result, self.schedule.judge(each, result, failures=failures, rng=rng), now)
            for each in begun
        ]
