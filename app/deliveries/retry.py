"""What the result of an attempt means for its delivery and for all of its mailbox. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from random import Random
from typing import Final

from app.deliveries.attempt import MAX_ATTEMPTS, Result
from app.deliveries.delivery import Delivery, ErrorKind, Stage

JITTER: Final = 0.2
MAX_RETRY_AFTER: Final = timedelta(hours=24)
# A receiver that asks for less without saying how much less.
SLOW_DOWN: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
MAX_SLOW_DOWN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The delivery's next stage; `delay` until its next attempt, where there is one; how long
    nothing is sent to its mailbox; and whether its endpoint wants no more, ever.
    """

    status: Stage
    delay: timedelta | None = None
    pause: timedelta | None = None
    disables: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits before the first attempt, the second, and so on; after the last comes none."""

    delays_s: Sequence[float]

    def judge(self, delivery: Delivery, result: Result, *, failures: int, rng: Random) -> Verdict:
        """What follows from the attempt that `delivery`, in its stage SENDING, has just had.

        `failures` counts those of its mailbox without a success between, this one included.
        """
        if result.is_delivered:
            return Verdict(Stage.DELIVERED)
        if result.error_kind is ErrorKind.REFUSED_ADDRESS:
            return Verdict(Stage.REFUSED)
        if result.status_code == HTTPStatus.GONE:
            return Verdict(Stage.EXHAUSTED, disables=True)
        pause = _pause(result, failures)
        done = delivery.round_attempts + 1
        if done >= len(self.delays_s) or delivery.attempt_count >= MAX_ATTEMPTS:
            return Verdict(Stage.EXHAUSTED, pause=pause)
        delay = timedelta(seconds=jittered(self.delays_s[done], rng))
        return Verdict(Stage.PENDING, max(delay, pause or delay), pause)


def jittered(delay_s: float, rng: Random) -> float:
    """The delay, at most a fifth shorter or longer, so that what failed together comes apart."""
    return delay_s * rng.uniform(1 - JITTER, 1 + JITTER)


def read_retry_after(text: str | None, *, now: datetime) -> float | None:
    """The seconds that the header asks for, as a number or as a date (RFC 9110); else None."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text.lstrip("0")[:9] or 0)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _pause(result: Result, failures: int) -> timedelta | None:
    """What the receiver asks for, a day at most; twice as long each time where it does not say."""
    if result.status_code not in SLOW_DOWN:
        return None
    if result.retry_after_s is None:
        return timedelta(seconds=min(MAX_SLOW_DOWN_S, 2.0 ** min(failures - 1, 10)))
    return min(timedelta(seconds=result.retry_after_s), MAX_RETRY_AFTER)
