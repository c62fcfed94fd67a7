"""The product's times in a run: short ones that show much in a minute, or its own defaults."""

from dataclasses import dataclass
from typing import Final

from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, as the settings of the same names."""

    lease_s: float
    heartbeat_s: float
    kill_grace_s: float
    republish_after_s: float
    retry_backoff_s: float

    def environment(self) -> dict[str, str]:
        """The variables that tell a process."""
        return {
            "WAYBILL_LEASE_S": str(self.lease_s),
            "WAYBILL_HEARTBEAT_S": str(self.heartbeat_s),
            "WAYBILL_KILL_GRACE_S": str(self.kill_grace_s),
            "WAYBILL_REPUBLISH_AFTER_S": str(self.republish_after_s),
            "WAYBILL_RETRY_BACKOFF_S": str(self.retry_backoff_s),
        }


SHORT: Final = Timing(
    lease_s=5, heartbeat_s=1, kill_grace_s=2, republish_after_s=2, retry_backoff_s=0.2
)


def default() -> Timing:
    """What an installation has that sets nothing."""

    def of(name: str) -> float:
        return float(Settings.model_fields[name].default)

    return Timing(
        lease_s=of("lease_s"),
        heartbeat_s=of("heartbeat_s"),
        kill_grace_s=of("kill_grace_s"),
        republish_after_s=of("republish_after_s"),
        retry_backoff_s=of("retry_backoff_s"),
    )
