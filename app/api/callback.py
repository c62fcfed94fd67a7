"""The URL that a request names to be told of its task's end."""

from typing import Annotated

from pydantic import Field

from app.egress.guard import EgressRefusedError
from app.egress.target import MAX_CHARACTERS
from app.errors import InvalidError
from app.settings import Settings
from app.webhooks.url import require_callable, webhook_guard

CallbackUrl = Annotated[
    str,
    Field(
        max_length=MAX_CHARACTERS,
        description="is sent one signed event when the task has ended",
        examples=["https://example.com/waybill"],
    ),
]


def checked(url: str | None, settings: Settings, *place: str | int) -> str | None:
    """The URL, if one is named; `InvalidError` at the place for one that may not be called."""
    if url is None:
        return None
    try:
        require_callable(url, webhook_guard(settings))
    except (ValueError, EgressRefusedError) as exc:
        raise InvalidError.at(*place, "webhook_url", message=str(exc)) from exc
    return url
