"""One attempt of a delivery: how it went, and its entry in the delivery's log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.database import Document
from app.deliveries.delivery import ErrorKind

# A delivery whose log has as many is not attempted, nor replayed, again.
MAX_ATTEMPTS: Final = 200
LOST: Final = "The dispatcher was lost during the attempt: nobody knows whether it arrived."


class Outcome(StrEnum):
    """How an attempt ended; while it is under way there is none."""

    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"  # its dispatcher was lost


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt came to; one without an `error_kind` has delivered.

    `retry_after_s` is what the receiver asked for, unbounded.
    """

    status_code: int | None = None
    latency_ms: int | None = None
    error_kind: ErrorKind | None = None
    error: str | None = None
    retry_after_s: float | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str | None = None

    @property
    def is_delivered(self) -> bool:
        return self.error_kind is None


def begun(number: int, *, worker: str, at: datetime) -> Document:
    """The entry as it is written before the request is sent."""
    return {
        "number": number,
        "started_at": at,
        "worker": worker,
        "ended_at": None,
        "outcome": None,
        "status_code": None,
        "latency_ms": None,
        "error_kind": None,
        "error": None,
        "request_headers": {},
        "response_headers": {},
        "response_body": None,
    }


def completion(result: Result, *, at: datetime) -> Document:
    """What the entry says once the attempt has ended."""
    outcome = Outcome.DELIVERED if result.is_delivered else Outcome.FAILED
    return {
        "ended_at": at,
        "outcome": outcome.value,
        "status_code": result.status_code,
        "latency_ms": result.latency_ms,
        "error_kind": None if result.error_kind is None else result.error_kind.value,
        "error": result.error,
        "request_headers": dict(result.request_headers),
        "response_headers": dict(result.response_headers),
        "response_body": result.response_body,
    }


def loss(*, at: datetime) -> Document:
    """What the entry of an attempt says whose dispatcher was lost."""
    return {
        "ended_at": at,
        "outcome": Outcome.UNKNOWN.value,
        "error_kind": ErrorKind.UNKNOWN.value,
        "error": LOST,
    }
