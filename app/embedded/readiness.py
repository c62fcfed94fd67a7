"""Whether everything answers: the API's own health, which looks at all the others, and Flower."""

import time
from collections.abc import Callable
from typing import Final

import httpx

from app.embedded.program import StartError

READY_WITHIN_S: Final = 60.0
PAUSE_S: Final = 0.1
REQUEST_TIMEOUT_S: Final = 5.0


def await_ready(api_url: str, flower_url: str, check: Callable[[], None]) -> None:
    """Returns once both answer well; `check` is called between looks and raises to give up.

    `StartError` says which part did not answer within the deadline.
    """
    deadline_s = time.monotonic() + READY_WITHIN_S
    # Proxies of the environment have no business on the loopback.
    with httpx.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
        while lacking := _api_lacks(client, api_url) or _flower_lacks(client, flower_url):
            check()
            if time.monotonic() > deadline_s:
                raise StartError(f"not everything answers after {READY_WITHIN_S:g} s: {lacking}")
            time.sleep(PAUSE_S)


def _api_lacks(client: httpx.Client, url: str) -> str:
    """What is missing, for people; empty when nothing is."""
    try:
        answer = client.get(f"{url}/v1/health")
    except httpx.HTTPError:
        return f"the API at {url} does not"
    try:
        return lacking(answer.json())
    except ValueError:
        return f"the API at {url} says HTTP {answer.status_code}"


def lacking(health: object) -> str:
    """What a body of `GET /v1/health` calls unwell, for people; empty when all is OK."""
    if isinstance(health, dict) and health.get("status") == "OK":
        return ""
    components = health.get("components") if isinstance(health, dict) else None
    if not isinstance(components, dict):
        return "the API answers without a word on its health"
    unwell = [
        f"{name} ({part.get('detail') or part.get('status')})"
        for name, part in components.items()
        if isinstance(part, dict) and part.get("status") != "OK"
    ]
    return ", ".join(unwell) or "the API calls itself degraded"


def _flower_lacks(client: httpx.Client, url: str) -> str:
    try:
        client.get(f"{url}/healthcheck").raise_for_status()
    except httpx.HTTPError:
        return f"Flower at {url} does not"
    return ""
