"""Metrics, open to everybody who reaches the port, which is for the inside."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from app.metrics.exposition import render
from app.metrics.request import RequestCounts
from app.metrics.snapshot import Observer

router = APIRouter(tags=["health"])

SERVED = {"content": {CONTENT_TYPE_LATEST.partition(";")[0]: {"schema": {"type": "string"}}}}


@router.get("/metrics", response_class=PlainTextResponse, responses={200: SERVED})
async def get_metrics(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """Figures for Prometheus, a few seconds old at most; OpenMetrics for who accepts it."""
    observer, counts = request.app.state.observer, request.app.state.requests
    assert isinstance(observer, Observer)
    assert isinstance(counts, RequestCounts)
    body, content_type = render(await observer.snapshot(), counts.registry, accept=accept)
    return Response(body, media_type=content_type)
