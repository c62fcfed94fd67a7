"""`X-RateLimit-…`: what is left of a key's limit, on every answer to it."""

from math import ceil
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.rate_limit import Allowance

LIMIT: Final = "X-RateLimit-Limit"
REMAINING: Final = "X-RateLimit-Remaining"
RESET: Final = "X-RateLimit-Reset"  # seconds until the key may make all its requests again


class RateLimitHeaders:
    """Adds them where the request was counted; failed answers have them too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def telling(message: Message) -> None:
            found = state.get("allowance")
            if message["type"] == "http.response.start" and isinstance(found, Allowance):
                headers = MutableHeaders(scope=message)
                headers[LIMIT] = str(found.limit)
                headers[REMAINING] = str(found.remaining)
                headers[RESET] = str(ceil(found.full_after_s))
            await send(message)

        await self.app(scope, receive, telling)
