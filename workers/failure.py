"""What an exception of a job means: try again or not, and what the receipt says of it."""

import random
import traceback as tracebacks
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import redis.exceptions
from pymongo.errors import ConnectionFailure

from app.errors import TransientError, WaybillError

# Errors of a server or a network that is away for the moment, whoever raised them.
TRANSIENT: Final[tuple[type[Exception], ...]] = (
    TransientError,
    ConnectionError,
    TimeoutError,
    ConnectionFailure,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
)

MESSAGE_LIMIT: Final = 500  # characters: a sentence, not a dump
TRACEBACK_LIMIT: Final = 16_384  # characters; the end of a traceback is what tells
LONGEST_BACKOFF: Final = timedelta(minutes=5)
JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: `message` is one line for users, `traceback` is for operators."""

    message: str
    traceback: str
    transient: bool


def describe(exc: Exception, *, transient_errors: tuple[type[Exception], ...]) -> Failure:
    """The failure that `exc` stands for; `transient_errors` are the job's own."""
    lines = str(exc).strip().splitlines()
    text = lines[0] if lines else ""
    if not isinstance(exc, WaybillError) or not text:
        text = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    return Failure(
        message=text[:MESSAGE_LIMIT],
        traceback="".join(tracebacks.format_exception(exc))[-TRACEBACK_LIMIT:],
        transient=isinstance(exc, (*TRANSIENT, *transient_errors)),
    )


def backoff(attempt: int, *, first: timedelta, rng: random.Random) -> timedelta:
    """The delay after attempt 1, 2, …: doubled each time, five minutes at most, ±20 %."""
    doubled: timedelta = min(first * 2 ** min(attempt - 1, 30), LONGEST_BACKOFF)
    jitter: float = rng.uniform(1 - JITTER, 1 + JITTER)
    return doubled * jitter
