"""Which events handlers in here are told of, and what they read of them. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from app.events.event import Event, Scope
from app.events.type import EventType
from app.webhooks.channel import Channel

# What a new collection holds, nobody has read before.
OF_NO_ANSWER: Final = frozenset({EventType.COLLECTION_CREATED})
# Documents came, or stand in new collections.
OF_DOCUMENTS: Final = frozenset({EventType.DOCUMENTS_WRITTEN, EventType.MIGRATION_COMPLETED})


@dataclass(frozen=True, slots=True)
class Notice:
    """What the documents of a collection, or of a namespace, are not any more, and since when."""

    scope: Scope
    id: str
    occurred_at: datetime

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """What the body of an event says."""
        event = json.loads(body)
        told = dict(event["cache_scope"])
        scope = Scope(told.pop("scope"))
        (own_id,) = told.values()
        return cls(scope, own_id, datetime.fromisoformat(event["occurred_at"]))


def internal_channels(event: Event) -> tuple[Channel, ...]:
    """The channels in here that have to do with the event, often none.

    Answers are cached about the documents of a collection; events of one thing, known by its key,
    make none of them old.
    """
    channels = []
    if event.cache_scope.scope is not Scope.KEY and event.event_type not in OF_NO_ANSWER:
        channels.append(Channel.CACHE)
    if event.event_type in OF_DOCUMENTS:
        channels.append(Channel.SCHEMA)
    return tuple(channels)
