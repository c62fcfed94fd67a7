"""The URLs that webhooks may have."""

from typing import Final

from app.egress.guard import Guard
from app.egress.target import read_target
from app.settings import Settings

SCHEMES: Final = ("https", "http")


def webhook_guard(settings: Settings) -> Guard:
    """What deliveries may call: public addresses, and what the operator allows beyond."""
    return Guard(settings.webhook_allowed_networks, frozenset(settings.webhook_allowed_ports))


def require_callable(url: str, guard: Guard) -> None:
    """Raises `ValueError` with a sentence, or `EgressRefusedError`, for a URL that no delivery
    could call. A name is looked up later: its address is checked at each attempt.
    """
    read_target(url, guard, schemes=SCHEMES)
