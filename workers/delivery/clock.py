"""MongoDB's clock, which alone says what is due, between two looks at it."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Goes on by this machine's monotonic clock, so that it jumps with nobody's but MongoDB's."""

    def __init__(self) -> None:
        self.set(datetime.now(UTC))

    def set(self, at: datetime) -> None:
        """It is so late now."""
        self._at, self._at_s = at, time.monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=time.monotonic() - self._at_s)
