"""Waiting in tests: for a condition, with a deadline, never for a time."""

import time
from collections.abc import Callable
from threading import Event
from typing import Final, Literal, TypeVar

PAUSE_S: Final = 0.05

T = TypeVar("T")


def poll(
    condition: Callable[[], T | Literal[False] | None], *, description: str, within_s: float
) -> T:
    """The condition's first true value; `AssertionError` with the description at the deadline."""
    deadline_s = time.monotonic() + within_s
    pause = Event()
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:g} s: {description} (last: {value!r})")
        pause.wait(PAUSE_S)
    return value
