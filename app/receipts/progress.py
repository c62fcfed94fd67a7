"""How far a task is, how fast it goes, and when it should be done; pure arithmetic."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

# Time constant of the exponential average of the rate: a third of the time since the start, so
# that a slow first second is soon forgotten, within these bounds: long enough to smooth over
# single slices of work, short enough to follow a change of speed within half a minute.
SHORTEST_MEMORY_S: Final = 1.0
LONGEST_MEMORY_S: Final = 15.0
MEMORY_SHARE: Final = 1 / 3

# What has all but stopped has no estimate: one of ten years would say less than null.
LONGEST_ETA_S: Final = 10 * 365 * 86_400.0
SLOWEST_RATE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units at time `at`; `rate` in units a second, null until it is known.

    `since` is when the work that the rate speaks of began.
    """

    done: int
    total: int | None
    errors: int
    rate: float | None
    eta_seconds: float | None
    at: datetime
    since: datetime

    @property
    def percent(self) -> float | None:
        """0–100, or null while the total is unknown."""
        if self.total is None:
            return None
        return 100.0 if self.done >= self.total else round(100.0 * self.done / self.total, 2)


def begin(total: int | None, at: datetime) -> Progress:
    """Nothing done yet; the rate counts from here."""
    return Progress(done=0, total=total, errors=0, rate=None, eta_seconds=None, at=at, since=at)


def advance(
    before: Progress | None, *, done: int, total: int | None, errors: int, at: datetime
) -> Progress:
    """The progress at `at`, its rate an exponential average that weighs samples by their time.

    A first sample, and one that goes back (a new attempt without a checkpoint), has no rate.
    """
    rate, since = None, at
    if before is not None and done >= before.done:
        rate, since = _rate(before, done=done, at=at), before.since
    eta_seconds = None
    if total is not None and done >= total:
        eta_seconds = 0.0
    elif total is not None and rate:
        eta_seconds = _eta_s(total - done, rate)
    return Progress(done, total, errors, rate, eta_seconds, at, since)


def _eta_s(left: int, rate: float) -> float | None:
    eta_s = round(left / rate, 1) if rate > SLOWEST_RATE else None
    return eta_s if eta_s is None or eta_s < LONGEST_ETA_S else None


def _rate(before: Progress, *, done: int, at: datetime) -> float | None:
    elapsed_s = (at - before.at).total_seconds()
    if elapsed_s <= 0:
        return before.rate
    recent = (done - before.done) / elapsed_s
    if before.rate is None:
        return recent if recent > 0 else None
    age_s = (at - before.since).total_seconds() * MEMORY_SHARE
    memory_s = min(max(age_s, SHORTEST_MEMORY_S), LONGEST_MEMORY_S)
    weight = 1.0 - math.exp(-elapsed_s / memory_s)
    return before.rate + weight * (recent - before.rate)
