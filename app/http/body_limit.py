"""Bodies above the limit are refused with 413, before they fill the memory."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import problem


class BodyLimit:
    """Counts what arrives, whether or not its length was announced."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.message = f"The body is larger than {max_body_bytes} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.max_body_bytes:
            refusal = problem.answer(413, self.message, headers={"Connection": "close"})
            await refusal(scope, receive, send)
            return
        received_bytes = 0

        async def counting() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self.max_body_bytes:
                # FastAPI turns any other exception that escapes a body into a 400.
                raise HTTPException(413, self.message, {"Connection": "close"})
            return message

        await self.app(scope, counting, send)
