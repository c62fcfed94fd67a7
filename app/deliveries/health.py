"""How a receiver has been doing, so that one in trouble is given less to do."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from app.database import Document
from app.deliveries.attempt import Result
from app.deliveries.delivery import ErrorKind

# One hiccup is no habit.
QUARANTINE_AFTER: Final = 2


@dataclass(frozen=True, slots=True)
class Health:
    """Of one mailbox; `failing_since` is the first failure after the last success."""

    consecutive_failures: int = 0
    consecutive_timeouts: int = 0
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    paused_until: datetime | None = None

    @property
    def is_quarantined(self) -> bool:
        """Whether it held its senders up lately: it gets one attempt at a time."""
        return self.consecutive_timeouts >= QUARANTINE_AFTER

    @classmethod
    def from_document(cls, stored: Document | None) -> Self:
        """As it is stored, or that of a mailbox without a history."""
        return cls(**(stored or {}))

    def to_document(self) -> Document:
        return asdict(self)

    def after(self, result: Result, *, at: datetime, pause: timedelta | None) -> Self:
        """The same after one more attempt."""
        if result.is_delivered:
            return replace(
                self,
                consecutive_failures=0,
                consecutive_timeouts=0,
                failing_since=None,
                last_success_at=at,
            )
        is_timeout = result.error_kind is ErrorKind.TIMEOUT
        until = self.paused_until if pause is None else at + pause
        return replace(
            self,
            consecutive_failures=self.consecutive_failures + 1,
            consecutive_timeouts=self.consecutive_timeouts + 1 if is_timeout else 0,
            failing_since=self.failing_since or at,
            last_failure_at=at,
            paused_until=max(filter(None, (until, self.paused_until)), default=None),
        )
