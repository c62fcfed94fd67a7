"""A small client of the HTTP API: one request method, and the wait for a task's end."""

import random
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from waybill.polling import TERMINAL, delays

JsonObject = dict[str, Any]

TIMEOUT_S: Final = 60.0
NOT_FOUND: Final = 404
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
MAX_FAILURES: Final = 10


class ApiError(Exception):
    """An answer that is no success. `str(error)` is the server's sentence."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("message") or f"The server answered {status}.")
        self.status = status
        self.type = str(error.get("type", ""))
        self.details: JsonObject = dict(error.get("details") or {})


class TaskFailedError(Exception):
    """The task ended FAILED; the message is the receipt's."""


class TaskCanceledError(Exception):
    """The task ended CANCELED; the message says who asked for it and why."""


class Client:
    """Calls one server with one key, in one namespace."""

    def __init__(self, base_url: str, api_key: str, *, namespace: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        if namespace is not None:
            headers["X-Namespace"] = namespace
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def request(self, method: str, path: str, body: object = None) -> JsonObject:
        """The JSON of a successful answer; any other raises `ApiError`."""
        response = self._http.request(method, path, json=body)
        if response.is_success:
            answer: JsonObject = response.json()
            return answer
        try:
            error = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            error = None
        raise ApiError(response.status_code, error if isinstance(error, dict) else {})

    def get_task(self, task_id: str) -> JsonObject:
        """The receipt as it is now."""
        return self.request("GET", f"/v1/tasks/{task_id}")

    def wait(
        self,
        task_id: str,
        *,
        resource_path: str | None = None,
        on_poll: Callable[[JsonObject], None] | None = None,
        longest_delay_s: float | None = None,
    ) -> JsonObject:
        """Polls until a terminal status and returns the last answer.

        A receipt that is gone (404) is polled on at `resource_path`, the batch or cluster that
        the task works for; a server that is away or busy is asked again, up to
        `MAX_FAILURES` times in a row. Raises `TaskFailedError` or `TaskCanceledError` where it
        ended so.
        """
        path = f"/v1/tasks/{task_id}"
        failures = 0
        for delay_s in delays(random.Random()):
            pause_s = delay_s if longest_delay_s is None else min(delay_s, longest_delay_s)
            try:
                answer = self.request("GET", path)
            except (ApiError, httpx.TransportError) as exc:
                if _is_gone(exc) and resource_path not in (None, path):
                    path = str(resource_path)
                    continue
                failures += 1
                if failures > MAX_FAILURES or not _is_passing(exc):
                    raise
                time.sleep(pause_s)
                continue
            failures = 0
            if on_poll is not None:
                on_poll(answer)
            if answer["status"] in TERMINAL:
                return _ended(answer)
            time.sleep(pause_s)
        raise AssertionError("the delays have no end")


def _is_gone(error: Exception) -> bool:
    return isinstance(error, ApiError) and error.status == NOT_FOUND


def _is_passing(error: Exception) -> bool:
    return not isinstance(error, ApiError) or error.status in (TOO_MANY, UNAVAILABLE)


def _ended(answer: JsonObject) -> JsonObject:
    if answer["status"] == "FAILED":
        reason = answer.get("error_message") or answer.get("failure_reason")
        raise TaskFailedError(reason or "The task failed without a message.")
    if answer["status"] == "CANCELED":
        asked = answer.get("cancellation") or {}
        who, why = asked.get("actor", "somebody"), asked.get("reason") or "without a reason"
        raise TaskCanceledError(f"Canceled by {who}: {why}")
    return answer
