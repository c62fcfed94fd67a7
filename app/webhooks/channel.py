"""The ways on which an event reaches a target; a further one is named here and sent by a sender of
its own in `workers/delivery/`.
"""

from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    """How a delivery is carried out."""

    WEBHOOK = "webhook"  # a signed POST to an endpoint that somebody registered
    CALLBACK = "callback"  # the same to the URL that one task named
    CACHE = "cache"  # cached answers are dropped, in here
    SCHEMA = "schema"  # the schemas of collections follow their documents, in here


# Handled by Celery tasks on a queue of their own; each is one target, and one mailbox.
INTERNAL: Final = (Channel.CACHE, Channel.SCHEMA)


def internal_mailbox(channel: Channel) -> str:
    """The one mailbox of a channel in here."""
    return f"internal:{channel}"
