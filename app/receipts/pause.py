"""Leaving a server alone for a moment after it failed to answer."""

import time
from typing import Final

# Callers must not queue up behind the time-outs of a server that is away.
PAUSE_S: Final = 2.0


class Pause:
    """Begins with a failure and ends by itself."""

    def __init__(self) -> None:
        self._until_s = 0.0

    def begin(self) -> None:
        """The server failed to answer."""
        self._until_s = time.monotonic() + PAUSE_S

    @property
    def is_on(self) -> bool:
        """Whether the server is still left alone."""
        return time.monotonic() < self._until_s
