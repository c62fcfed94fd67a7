"""What one run of a dispatcher may use."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.settings import Settings

# Those in quarantine share so much of the slots.
QUARANTINE_SHARE: Final = 0.1
# A dispatcher that renews holds its turns for ever; attempts end well within this.
LEASE_MARGIN_S: Final = 5.0
# Well within the time that a worker has to stop.
DRAIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use, and when it ends by itself."""

    in_flight: int
    in_flight_each: int
    lease: timedelta
    disable_after: timedelta
    idle_s: float  # without anything to do
    drain_s: float  # for what is in flight when the worker stops

    @property
    def mailboxes(self) -> int:
        """Held at a time; more of them than slots, so that none of these waits for a look."""
        return 2 * self.in_flight

    @property
    def quarantined(self) -> int:
        return max(1, int(self.in_flight * QUARANTINE_SHARE))


def limits_of(settings: Settings, *, idle_s: float) -> Limits:
    """What the settings allow a run."""
    return Limits(
        in_flight=settings.webhook_in_flight,
        in_flight_each=settings.webhook_in_flight_each,
        lease=timedelta(seconds=settings.webhook_timeout_s + LEASE_MARGIN_S),
        disable_after=timedelta(days=settings.webhook_disable_after_days),
        idle_s=idle_s,
        drain_s=min(DRAIN_S, settings.webhook_timeout_s),
    )
