"""The types of events that a webhook asks for, in our words and in those of the public client.

The public client's models refuse any type that is not on a list of their own, and an empty list of
types. So its answers have those that it can read, and a word of its list that is none of ours
where nothing else would be left; what it sends back unchanged changes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from app.events.type import EVERY, SUBSCRIBABLE, EventType
from app.http.public_client import VARY, is_public_client

UNREAD: Final = frozenset(
    {
        EventType.MIGRATION_COMPLETED,
        EventType.MIGRATION_FAILED,
        EventType.TAXONOMY_MATERIALIZED,
        EventType.TASK_CREATED,
        EventType.TASK_STARTED,
        EventType.TASK_COMPLETED,
        EventType.TASK_FAILED,
        EventType.TASK_CANCELED,
        EventType.TASK_SKIPPED,
        EventType.ENDPOINT_DISABLED,
    }
)
OTHERS: Final = "resource.executed"

Words = Callable[[Sequence[str]], Sequence[str]]


def public_words(event_types: Sequence[str]) -> Sequence[str]:
    """What the public client is shown of them."""
    asked = SUBSCRIBABLE if EVERY in event_types else event_types
    return [str(each) for each in asked if each not in UNREAD] or [OTHERS]


def our_words(event_types: Sequence[str]) -> Sequence[str]:
    """What everybody else is shown."""
    return event_types


async def _words(request: Request, response: Response) -> Words:
    response.headers.update(VARY)
    return public_words if is_public_client(request) else our_words


Worded = Annotated[Words, Depends(_words)]
