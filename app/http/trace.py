"""A span around each request, below the caller's where it sends a `traceparent`."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import tracing
from app.tracing import Kind

FAILED_FROM: Final = 500


class Traced:
    """The middleware, which is there only where traces are asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = str(scope["method"])

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note(scope, method, message["status"])
            await send(message)

        parent = Headers(scope=scope).get("traceparent")
        attributes = {"http.request.method": method}
        with tracing.span(method, kind=Kind.SERVER, parent=parent, attributes=attributes):
            await self.app(scope, receive, noting)


def _note(scope: Scope, method: str, status: int) -> None:
    """Names by OpenTelemetry's conventions: the route's template, never the path."""
    route = getattr(scope.get("route"), "path", None)
    known = {"http.route": route} if isinstance(route, str) else {}
    name = f"{method} {route}" if known else None
    tracing.annotate({"http.response.status_code": status, **known}, name=name)
    if status >= FAILED_FROM:
        tracing.fail(f"answered {status}")
