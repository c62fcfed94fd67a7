"""Sends a task's message, which carries its id and nothing else.

The message is a hint and the claim decides, so a message lost or sent twice costs nothing but
time. A broker that is down is left alone for a moment: the republisher brings up the rear.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from app import tracing
from app.broker import CONCLUSIONS_QUEUE, CONTROL_QUEUE
from app.receipts.pause import Pause
from app.receipts.receipt import Receipt

log = structlog.get_logger(__name__)

DEPTH_TIMEOUT_S: Final = 2


class Publisher:
    """Puts messages on the queues through one Celery application."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._pause = Pause()

    def publish(self, receipt: Receipt) -> bool:
        """Whether the broker took the message; False leaves it to the republisher."""
        with tracing.sending(receipt.queue, trace=receipt.trace):
            return self._send(receipt.task_type, receipt.task_id, receipt.queue)

    def call(self, parent: Receipt) -> bool:
        """Sends for the conclusion of a task whose children have ended."""
        with tracing.sending(CONCLUSIONS_QUEUE, trace=parent.trace):
            return self._send(parent.task_type, parent.task_id, CONCLUSIONS_QUEUE)

    def tell(self, task_name: str, task_id: str) -> bool:
        """Sends a control task about `task_id`; a sweep does the same work if it is lost."""
        return self._send(task_name, task_id, CONTROL_QUEUE)

    def depth(self, queue: str) -> int:
        """Messages waiting on the broker; raises kombu's OperationalError when it is away."""
        return self.depths([queue])[queue]

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """The same of several queues, over one connection."""
        if not queues:
            return {}
        with self._celery.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=DEPTH_TIMEOUT_S)
            channel: Any = connection.default_channel
            return {
                queue: int(channel.queue_declare(queue, durable=True).message_count)
                for queue in queues
            }

    def _send(self, name: str, task_id: str, queue: str) -> bool:
        if self._pause.is_on:
            return False
        try:
            self._celery.send_task(
                name, args=[task_id], queue=queue, ignore_result=True, retry=False
            )
        except (OperationalError, OSError) as exc:
            self._pause.begin()
            log.warning("task.publish_failed", task_id=task_id, error=type(exc).__name__)
            return False
        return True
