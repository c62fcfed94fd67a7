"""How often to ask for a receipt: the strategy of the first seed document, with jitter.

Start at 1 s, wait 1.5 times longer each time, 30 s at most, and stop on every terminal status
(the loop printed there forgets CANCELED and SKIPPED).
"""

from collections.abc import Iterator
from typing import Final

FIRST_DELAY_S: Final = 1.0
FACTOR: Final = 1.5
LONGEST_DELAY_S: Final = 30.0
JITTER: Final = 0.1  # ±; so that clients started together do not ask together

TERMINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELED", "SKIPPED"})


def delays() -> Iterator[float]:
    """The pauses between polls, in seconds, without end and without jitter."""
    delay_s = FIRST_DELAY_S
    while True:
        yield delay_s
        delay_s = min(delay_s * FACTOR, LONGEST_DELAY_S)


def spread(delay_s: float) -> tuple[float, float]:
    """The shortest and the longest pause that the jitter makes of a delay, in seconds."""
    return delay_s * (1 - JITTER), min(delay_s * (1 + JITTER), LONGEST_DELAY_S)
