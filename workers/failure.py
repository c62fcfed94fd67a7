"""What an exception of a job means: try again or not, and what the receipt says of it."""

import random
import traceback as tracebacks
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import redis.exceptions
from celery.exceptions import Retry
from pymongo.errors import PyMongoError

from app.database import is_away
from app.errors import TransientError, WaybillError

# Their own words name hosts, ports and queries.
DATABASES: Final[tuple[type[Exception], ...]] = (PyMongoError, redis.exceptions.RedisError)
# Errors of a server or a network that is away for the moment, whoever raised them.
TRANSIENT: Final[tuple[type[Exception], ...]] = (
    TransientError,
    ConnectionError,
    TimeoutError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    Retry,  # what Celery's own `self.retry()` raises
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
    return Failure(
        message=storable(_sentence(exc))[:MESSAGE_LIMIT],
        traceback=storable("".join(tracebacks.format_exception(exc)))[-TRACEBACK_LIMIT:],
        transient=isinstance(exc, (*TRANSIENT, *transient_errors)) or is_away(exc),
    )


def _sentence(exc: Exception) -> str:
    name = type(exc).__name__
    if isinstance(exc, DATABASES):
        return f"A database did not do what the job asked ({name})"
    lines = str(exc).strip().splitlines()
    if not lines:
        return name
    return lines[0] if isinstance(exc, WaybillError) else f"{name}: {lines[0]}"


def storable(text: str) -> str:
    """The text without lone surrogates, which MongoDB refuses."""
    return text.encode("utf-8", "backslashreplace").decode()


def backoff(attempt: int, *, first: timedelta, rng: random.Random) -> timedelta:
    """The delay after attempt 1, 2, …: doubled each time, five minutes at most, ±20 %."""
    doubled: timedelta = min(first * 2 ** min(attempt - 1, 30), LONGEST_BACKOFF)
    jitter: float = rng.uniform(1 - JITTER, 1 + JITTER)
    return doubled * jitter
