"""One event on its way to one target: its stages, its attempts, and how both are stored.

A stored delivery:

    {_id: "dlv_…", mailbox_id, channel, webhook_id (None unless the channel is `webhook`),
     url (None unless `callback`), namespace_id, event_id, event_type, task_id, sequence,
     body: bytes, status, due_at, token, attempt_count, round, error, created_at, updated_at,
     ended_at, expire_at (once it has ended), attempts: [attempt…]}

An attempt, written before its request is sent and completed after:

    {number, started_at, worker, ended_at, outcome, status_code, latency_ms, error_kind, error,
     request_headers, response_headers, response_body (at most 64 KiB, as text)}
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from app.database import Document
from app.events.event import Event
from app.identity import derived_id
from app.webhooks.channel import Channel


class Stage(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # due now or later
    SENDING = "sending"  # an attempt is under way, or its dispatcher died
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"  # the last attempt failed: a dead letter, replayable
    REFUSED = "refused"  # the address may not be called: failed without retries, replayable
    SKIPPED = "skipped"  # its endpoint was not open: kept, replayable


OPEN: Final = frozenset({Stage.PENDING, Stage.SENDING})
ENDED: Final = frozenset(Stage) - OPEN


class ErrorKind(StrEnum):
    """What an attempt failed of."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    REFUSED_ADDRESS = "refused_address"
    STATUS = "status"  # the answer was no 2xx
    PROTOCOL = "protocol"  # what came back is no HTTP, or the connection broke
    HANDLER = "handler"  # a handler in here raised
    UNKNOWN = "unknown"  # its dispatcher died: nobody knows whether it arrived


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as a dispatcher works with it, without its log."""

    delivery_id: str
    mailbox_id: str
    channel: Channel
    webhook_id: str | None
    url: str | None
    namespace_id: str
    event_id: str
    event_type: str
    task_id: str | None
    sequence: int | None
    body: bytes
    status: Stage
    due_at: datetime
    attempt_count: int
    round: int  # how often it was replayed
    round_attempts: int  # attempts since it was last replayed: the schedule counts these

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored delivery, with or without its log."""
        return cls(
            delivery_id=stored["_id"],
            mailbox_id=stored["mailbox_id"],
            channel=Channel(stored["channel"]),
            webhook_id=stored["webhook_id"],
            url=stored["url"],
            namespace_id=stored["namespace_id"],
            event_id=stored["event_id"],
            event_type=stored["event_type"],
            task_id=stored["task_id"],
            sequence=stored["sequence"],
            body=stored["body"],
            status=Stage(stored["status"]),
            due_at=stored["due_at"],
            attempt_count=stored["attempt_count"],
            round=stored["round"],
            round_attempts=stored["round_attempts"],
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told of an event. Deliveries of one mailbox share a receiver, and its troubles."""

    mailbox_id: str
    channel: Channel
    webhook_id: str | None = None
    url: str | None = None
    is_open: bool = True


def new_delivery(
    event: Event, body: bytes, target: Target, *, at: datetime, due_at: datetime | None = None
) -> Document:
    """A delivery as it is first stored, due at once unless `due_at` is given, under an id made of
    event and target.
    """
    key = f"{event.event_id}:{target.mailbox_id}:{target.url or ''}"
    status = Stage.PENDING if target.is_open else Stage.SKIPPED
    return {
        "_id": derived_id("dlv", like=event.event_id, key=key),
        "mailbox_id": target.mailbox_id,
        "channel": target.channel.value,
        "webhook_id": target.webhook_id,
        "url": target.url,
        "namespace_id": event.namespace_id,
        "event_id": event.event_id,
        "event_type": event.event_type.value,
        "task_id": event.task_id,
        "sequence": event.sequence,
        "body": body,
        "status": status.value,
        "due_at": due_at or at,
        "token": None,
        "attempt_count": 0,
        "round": 0,
        "round_attempts": 0,
        "error": None,
        "created_at": at,
        "updated_at": at,
        "ended_at": None if target.is_open else at,
        "attempts": [],
    }
