"""Server-sent events as an answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Send


class EventStream(StreamingResponse):
    """Sends what a generator yields, one event on the wire each, and closes it with the client.

    FastAPI's own streams do not: where the client leaves while events wait for it, they fail with
    an error of ours and leave the generator to the garbage collector.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        # The second is for nginx, which would hold events back.
        super().__init__(events, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Sends all there is; what the generator holds is let go whichever way this ends."""
        async with aclosing(self._events):
            await super().stream_response(send)
