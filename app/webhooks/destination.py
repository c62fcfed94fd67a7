"""What a webhook asks for, and where its deliveries go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.events.event import Event
from app.events.type import EVERY

# An event that happened before a webhook was made is none of its business, whatever the clocks of
# two machines say.
CLOCKS_DIFFER_BY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events a webhook is told of; without a namespace those of all the organization.

    What happens while it is not `is_open` is kept for it, and not sent.
    """

    webhook_id: str
    namespace_id: str | None
    event_types: frozenset[str]
    is_open: bool
    created_at: datetime

    def asks_for(self, event: Event) -> bool:
        """Whether the event is one of those."""
        seen = (None,) if event.of_organization else (None, event.namespace_id)
        return (
            (EVERY in self.event_types or event.event_type in self.event_types)
            and self.namespace_id in seen
            and event.occurred_at >= self.created_at - CLOCKS_DIFFER_BY
        )


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a POST goes: the headers that its owner adds, the time that one attempt may take, and
    the keys that sign it, the newest first.
    """

    url: str
    headers: Mapping[str, str]
    timeout_s: float
    keys: tuple[bytes, ...]
