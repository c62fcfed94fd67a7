"""X-Request-ID: taken from the caller when sane, made otherwise, echoed and logged."""

import re
from contextvars import ContextVar
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from app.identity import new_id

HEADER: Final = "X-Request-ID"
RAW_HEADER: Final = HEADER.lower().encode()
# Anything else would let a caller write into logs and headers at will.
SANE: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id of the request that this code serves; None outside of one."""
    return _current.get()


class RequestId:
    """The outermost middleware: every answer, failed ones too, carries the id of its request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
        request_id = sent if SANE.fullmatch(sent) else new_id("req")
        echoed = (RAW_HEADER, request_id.encode())

        async def echoing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).append(echoed)
            await send(message)

        token = _current.set(request_id)
        try:
            with bound_contextvars(request_id=request_id):
                await self.app(scope, receive, echoing)
        finally:
            _current.reset(token)
