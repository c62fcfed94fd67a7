"""What stands around every route, from the outside in."""

from fastapi import FastAPI

from app.http import problem
from app.http.body_limit import BodyLimit
from app.http.rate_limit import RateLimitHeaders
from app.http.request_id import RequestId
from app.http.unexpected import UnexpectedErrors
from app.settings import Settings


def install(app: FastAPI, settings: Settings) -> None:
    """Adds request ids, the last resort for errors, limits and the error handlers."""
    problem.install(app)
    # Each one added stands outside of those before it.
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(RateLimitHeaders)
    app.add_middleware(RequestId)
