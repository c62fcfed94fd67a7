"""The wait for a task's end: polls at the seed's pace, and lets the server hold each answer.

A server that knows `?wait=` answers when the status changes. One that does not answers at once,
and is then asked no more often than the pace allows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Never, cast

from waybill.error import (
    ApiError,
    ConnectError,
    TaskCanceledError,
    TaskFailedError,
    WaitTimeoutError,
)
from waybill.flow.path import checked_path, path_to
from waybill.flow.polling import TERMINAL, delays, spread
from waybill.flow.refusal import NOT_FOUND, is_passing, refusal, retry_after_s
from waybill.flow.step import Answer, Call, Flow, attempt, clock, json_of, sleep
from waybill.types import JsonObject, Task

MAX_FAILURES: Final = 10  # in a row, of a server that is away or busy
LONGEST_RETRY_AFTER_S: Final = 60.0
LEAST_LIMIT_S: Final = 1.0  # of one call, however little time is left

# What a resource of its own says in its task's stead.
SHARED: Final = (
    "status",
    "outputs",
    "error_message",
    "error",
    "namespace_id",
    "created_at",
    "updated_at",
)
RESOURCES: Final = {
    "batch_id": ("batches",),
    "cluster_id": ("clusters",),
    "migration_id": ("namespaces", "migrations"),
}

OnPoll = Callable[[Task], object]


@dataclass(frozen=True, slots=True)
class Reading:
    """One look: the receipt, None where the server was away or busy; what the server asked for,
    and how long it took to answer.
    """

    receipt: Task | None
    retry_after_s: float | None
    took_s: float


class Waiting:
    """One wait; `flow` is to be run once."""

    def __init__(
        self,
        task_id: str,
        *,
        resource_path: str | None = None,
        on_poll: OnPoll | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._task_id = task_id
        self._resource_path = checked_path(resource_path) if resource_path else None
        self._on_poll = on_poll
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._end_s = math.inf
        self._is_gone = False  # the receipt: its resource is asked instead
        self._last: Task | None = None
        self._failures = 0

    def flow(self) -> Flow[Task]:
        """The receipt with which the task ended well, COMPLETED or SKIPPED."""
        self._end_s = (yield from clock()) + self._timeout_s
        for delay_s in delays():
            known = self._last["status"] if self._last else None
            reading = yield from self._read(delay_s)
            receipt = reading.receipt
            if receipt is not None and receipt["status"] in TERMINAL:
                return _ended(receipt)
            left_s = self._end_s - (yield from clock())
            if left_s <= 0:
                self._give_up()
            is_news = self._is_news(reading, known)
            shortest_s, longest_s = _pause(reading, delay_s, is_news=is_news)
            yield from sleep(min(shortest_s, left_s), min(longest_s, left_s))
        raise AssertionError("the delays have no end")

    def _read(self, delay_s: float) -> Flow[Reading]:
        """Asks once; where the receipt is gone, its resource. Raises what does not pass."""
        began_s = yield from clock()
        error: ApiError | ConnectError
        try:
            answer = yield from attempt(self._call(delay_s, self._end_s - began_s))
        except ConnectError as exc:
            error = exc
        else:
            if answer.is_success:
                return self._reading(answer, took_s=(yield from clock()) - began_s)
            error = refusal(answer)
        if isinstance(error, ApiError) and self._falls_back(error):
            return (yield from self._read(delay_s))
        self._failures += 1
        if self._failures > MAX_FAILURES or (isinstance(error, ApiError) and not is_passing(error)):
            raise error
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        return Reading(None, asked_s, took_s=0.0)

    def _call(self, delay_s: float, left_s: float) -> Call:
        limit_s = max(left_s, LEAST_LIMIT_S) if math.isfinite(left_s) else None
        if self._is_gone and self._resource_path is not None:
            return Call("GET", self._resource_path, limit_s=limit_s)
        hold_s = min(delay_s, left_s)
        params = {"wait": hold_s} if hold_s > 0 else {}
        path = path_to("tasks", self._task_id)
        return Call("GET", path, params=params, hold_s=hold_s, limit_s=limit_s)

    def _reading(self, answer: Answer, *, took_s: float) -> Reading:
        self._failures = 0
        found = json_of(answer)
        if not isinstance(found.get("status"), str):
            message = f"The answer of {answer.url} has no status: is this a task or a resource?"
            raise ApiError(answer.status, {"message": message})
        receipt = self._in_its_stead(found) if self._is_gone else cast(Task, found)
        self._last = receipt
        if self._on_poll is not None:
            self._on_poll(receipt)
        return Reading(receipt, retry_after_s(answer.headers, answer.received_at), took_s)

    def _is_news(self, reading: Reading, known: str | None) -> bool:
        """Whether the status moved; of the first answer only a server that knows `?wait=` can
        tell, and says so with `Retry-After: 0`.
        """
        if reading.receipt is None:
            return False
        return reading.receipt["status"] != known and (
            known is not None or reading.retry_after_s == 0
        )

    def _falls_back(self, error: ApiError) -> bool:
        """Whether to ask the resource from now on: the receipt is gone, and there is one."""
        if error.status != NOT_FOUND or self._is_gone:
            return False
        self._resource_path = self._resource_path or _resource_of(self._last)
        self._is_gone = self._resource_path is not None
        return self._is_gone

    def _in_its_stead(self, resource: JsonObject) -> Task:
        """The last receipt, or an empty one, with what the resource knows of it."""
        receipt: JsonObject = dict(self._last or _unread(self._task_id))
        ids = {name: resource[name] for name in RESOURCES if name in resource}
        receipt |= {name: resource[name] for name in SHARED if name in resource}
        receipt["additional_data"] = {**receipt["additional_data"], **ids}
        receipt["cancellation"] = resource.get("cancellation", receipt["cancellation"])
        receipt["error_message"] = receipt["error_message"] or resource.get("failure_reason")
        return cast(Task, receipt)

    def _give_up(self) -> Never:
        status = self._last["status"] if self._last else "unknown"
        message = (
            f"The task {self._task_id} has not ended within {self._timeout_s:g} s; "
            f"its status is {status}."
        )
        raise WaitTimeoutError(message, self._last)


def _pause(reading: Reading, delay_s: float, *, is_news: bool) -> tuple[float, float]:
    """The shortest and longest pause before the next look, in seconds.

    `Retry-After` is the least, up to a minute. Nothing more where the server held the answer for
    the whole delay, or until something changed; else what is left of the delay.
    """
    least_s = min(reading.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
    rest_s = delay_s - reading.took_s
    if reading.receipt is not None and (is_news or rest_s <= 0):
        return least_s, least_s
    shortest_s, longest_s = spread(max(rest_s, 0.0))
    return max(shortest_s, least_s), max(longest_s, least_s)


def _resource_of(receipt: Task | None) -> str | None:
    """Where the resource lies that the task works for, if its receipt names one."""
    data = receipt["additional_data"] if receipt else {}
    for name, kind in RESOURCES.items():
        if isinstance(found := data.get(name), str) and found:
            return path_to(*kind, found)
    return None


def _unread(task_id: str) -> JsonObject:
    """What is known of a receipt that nobody has read."""
    receipt: JsonObject = dict.fromkeys(Task.__annotations__)
    return receipt | {
        "task_id": task_id,
        "task_type": "",
        "inputs": [],
        "additional_data": {},
        "attempt": 0,
        "max_attempts": 0,
        "returns": 0,
    }


def _ended(receipt: Task) -> Task:
    if receipt["status"] == "FAILED":
        reason = receipt.get("error_message")
        raise TaskFailedError(reason or "The task failed without a message.", receipt)
    if receipt["status"] == "CANCELED":
        asked = receipt.get("cancellation")
        who = (asked and asked.get("actor")) or "somebody"
        why = (asked and asked.get("reason")) or "without a reason"
        raise TaskCanceledError(f"Canceled by {who}: {why}", receipt)
    return receipt
