"""Sends a task's message, which carries its id and nothing else.

The message is a hint and the claim decides, so a message lost or sent twice costs nothing but
time. A broker that is down is left alone for a moment: the republisher brings up the rear.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from celery import Celery
from kombu.exceptions import KombuError

from app import tracing
from app.broker import CONCLUSIONS_QUEUE, CONTROL_QUEUE
from app.receipts.pause import Pause
from app.receipts.receipt import Receipt

log = structlog.get_logger(__name__)

DEPTH_TIMEOUT_S: Final = 2
# In one round trip to the broker, each with its event: a broker that fails leaves so many in doubt.
SENT_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class _Message:
    """What is sent, and the span that it is sent within."""

    name: str
    task_id: str
    queue: str
    span: AbstractContextManager[object] = field(default_factory=nullcontext)


class Publisher:
    """Puts messages on the queues through one Celery application."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._pause = Pause()

    def publish(self, receipt: Receipt) -> bool:
        """Whether the broker took the message; False leaves it to the republisher."""
        return not self.publish_all([receipt])

    def publish_all(self, receipts: Sequence[Receipt]) -> list[str]:
        """Sends the message of each, in order; the ids of those that the broker may not have taken,
        which are left to the republisher.
        """
        unsent: list[str] = []
        for start in range(0, len(receipts), SENT_AT_ONCE):
            messages = [_of(receipt) for receipt in receipts[start : start + SENT_AT_ONCE]]
            if not self._send(messages):
                unsent += [message.task_id for message in messages]
        return unsent

    def call(self, parent: Receipt) -> bool:
        """Sends for the conclusion of a task whose children have ended."""
        span = tracing.sending(CONCLUSIONS_QUEUE, trace=parent.trace)
        return self._send([_Message(parent.task_type, parent.task_id, CONCLUSIONS_QUEUE, span)])

    def tell(self, task_name: str, task_id: str) -> bool:
        """Sends a control task about `task_id`; a sweep does the same work if it is lost."""
        return self._send([_Message(task_name, task_id, CONTROL_QUEUE)])

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

    def _send(self, messages: Sequence[_Message]) -> bool:
        """Whether the broker took all of them."""
        if self._pause.is_on:
            return False
        try:
            with self._celery.producer_or_acquire() as producer, producer.batch():
                declared: set[str] = set()
                for message in messages:
                    self._add(message, producer, declares=message.queue not in declared)
                    declared.add(message.queue)
        except (KombuError, OSError) as exc:
            self._pause.begin()
            log.warning(
                "task.publish_failed",
                task_id=messages[0].task_id,
                count=len(messages),
                error=type(exc.__cause__ or exc).__name__,
            )
            return False
        return True

    def _add(self, message: _Message, producer: Any, *, declares: bool) -> None:
        # To declare a queue again is nothing to the broker, and a fifth of the work here.
        options: dict[str, Any] = {} if declares else {"declare": []}
        with message.span:
            self._celery.send_task(
                message.name,
                args=[message.task_id],
                queue=message.queue,
                ignore_result=True,
                retry=False,
                producer=producer,
                **options,
            )


def _of(receipt: Receipt) -> _Message:
    span = tracing.sending(receipt.queue, trace=receipt.trace)
    return _Message(receipt.task_type, receipt.task_id, receipt.queue, span)
