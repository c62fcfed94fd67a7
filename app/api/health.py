"""Health, open to everybody: load balancers and operators ask without a key."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.shape import health as shape
from app.health import Health, HealthCheck
from app.http.answer import answers
from app.http.body import JsonObject

router = APIRouter(prefix="/v1/health", tags=["health"])


@router.get("", responses=answers(shape.HealthReport))
async def get_health(request: Request) -> JsonObject:
    """OK when every part answers, else DEGRADED; the parts say which."""
    findings = await _check(request).check()
    is_ok = all(finding.status is Health.OK for finding in findings.values())
    return {
        "status": Health.OK if is_ok else Health.DEGRADED,
        "components": {name: asdict(finding) for name, finding in findings.items()},
    }


@router.get("/beat", responses=answers(shape.Component, also={503: {"model": shape.Component}}))
async def get_beat(request: Request, response: Response) -> JsonObject:
    """200 while Beat ticks; 503 when its last tick is too old."""
    finding = await run_in_threadpool(_check(request).beat)
    if finding.status is not Health.OK:
        response.status_code = 503
    return dict(asdict(finding))


def _check(request: Request) -> HealthCheck:
    check = request.app.state.health
    assert isinstance(check, HealthCheck)
    return check
