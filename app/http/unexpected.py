"""The last resort: a failure that no handler took."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.problem import UNEXPECTED, answer

_log = structlog.stdlib.get_logger(__name__)


class UnexpectedErrors:
    """Answers 500 to whatever no handler took, logged with its traceback and request id.

    Starlette's own last resort stands outside every middleware, so its answer would lack the
    request id, and raises again, so the server would log a second time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            _log.exception("request.failed", path=scope["path"])
            if started:  # half an answer is out: only a broken connection still tells the client
                raise
            await answer(500, UNEXPECTED)(scope, receive, send)
