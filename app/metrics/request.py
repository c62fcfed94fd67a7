"""Counts and times the requests of this API process, by route template."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics.catalog import REQUEST_TIME, REQUESTS

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Callers choose paths and methods: labels of their making would grow without bound.
OTHER_METHOD: Final = "other"
NO_ROUTE: Final = "none"
BOUNDS_S: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class RequestCounts:
    """The counters of one API process, which begin at zero with it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            REQUESTS.name, REQUESTS.meaning, REQUESTS.labels, registry=self.registry
        )
        self._times = Histogram(
            REQUEST_TIME.name,
            REQUEST_TIME.meaning,
            REQUEST_TIME.labels,
            buckets=BOUNDS_S,
            registry=self.registry,
        )

    def add(self, method: str, route: str, status: int, duration_s: float) -> None:
        """One answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._times.labels(method, route).observe(duration_s)


class CountRequests:
    """The middleware around everything: a request that broke off before its answer is 499."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self.app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 499  # nginx's number for a client that left
        start_s = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
            self._counts.add(method, route_of(scope), status, time.perf_counter() - start_s)


def route_of(scope: Scope) -> str:
    """The template of the route that serves the request, as `/v1/tasks/{task_id}`."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else NO_ROUTE
