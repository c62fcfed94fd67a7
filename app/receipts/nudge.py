"""The nudge after a commit: one message at most is on its way to the dispatcher.

A key in Redis stands for that message. Whoever sets it sends the message, and the dispatcher takes
it away before it looks, so a commit that it does not see finds no key and nudges again. A nudge
that is lost costs one interval of the sweep, and so does a Redis that is away.
"""

from typing import Final

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

from app.broker import WEBHOOKS_QUEUE
from app.receipts.pause import Pause

log = structlog.get_logger(__name__)

DISPATCH_TASK: Final = "waybill.dispatch_webhooks"
KEY: Final = "waybill:nudge"
# Longer than a message takes, as a rule; a message that was lost is not waited for.
TTL_MS: Final = 2_000


class Nudge:
    """Tells a dispatcher, wherever it runs, that there is something to deliver."""

    def __init__(self, redis: Redis, celery: Celery) -> None:
        self._redis = redis
        self._celery = celery
        self._pause = Pause()

    def __call__(self) -> None:
        """Sends a message unless one is on its way; never raises for a Redis that is away."""
        if self._pause.is_on:
            return
        try:
            is_first = self._redis.set(KEY, 1, nx=True, px=TTL_MS)
        except RedisError as exc:
            self._fail(exc)
            return
        if is_first:
            self.send()

    def send(self) -> None:
        """Sends the message, for who has set the key; never raises for a Redis that is away."""
        try:
            self._celery.send_task(
                DISPATCH_TASK, queue=WEBHOOKS_QUEUE, ignore_result=True, retry=False
            )
        except (OperationalError, OSError) as exc:
            self._fail(exc)

    def heard(self) -> None:
        """Whoever is about to look at all that waits; what is committed later nudges again."""
        try:
            self._redis.delete(KEY)
        except RedisError as exc:
            log.warning("nudge.hearing_failed", error=type(exc).__name__)

    def _fail(self, error: Exception) -> None:
        self._pause.begin()
        log.warning("nudge.failed", error=type(error).__name__)
