"""A task's events as they happen: server-sent events, taken up again after a cut."""

import json
import math
from typing import Final, cast

from httpx_sse import ServerSentEvent

from waybill.error import ApiError, ConnectError
from waybill.flow.path import path_to
from waybill.flow.refusal import is_passing, refusal
from waybill.flow.retry import backoff
from waybill.flow.step import Answer, Call, Flow, Item, ItemFlow, Sleep, clock, hear, listen, sleep
from waybill.types import TaskEvent

MEDIA_TYPE: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"
FIRST_RETRY_S: Final = 1.0  # until the server names another with `retry:`
LEAST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 30.0
# The server says something, if only a comment, every 15 s: after three of them it is gone.
KEEP_ALIVE_S: Final = 15.0
SILENCE_S: Final = 45.0


class Streaming:
    """One stream; `flow` is to be run once."""

    def __init__(self, task_id: str, *, last_event_id: str | None, patience_s: float) -> None:
        self._path = path_to("tasks", task_id, "events")
        self._last_event_id = last_event_id
        self._patience_s = patience_s
        self._retry_s = FIRST_RETRY_S
        self._failures = 0
        self._answered_s = 0.0
        self._opened_s = math.inf

    def flow(self) -> ItemFlow[TaskEvent]:
        """Every event once, in order, up to the end of the task."""
        self._answered_s = yield from clock()
        while True:
            error: ConnectError | ApiError
            try:
                yield from self._open()
                while (heard := (yield from hear())) is not None:
                    self._failures = 0
                    event = self._take(heard)
                    if event is not None:
                        yield Item(event)
                        if event["event"] == "end":
                            return
                error = ConnectError("The stream of events was closed before the task's end.")
            except (ConnectError, ApiError) as exc:
                error = exc
            pause = yield from self._after(error)
            yield from sleep(pause.shortest_s, pause.longest_s)

    def _open(self) -> Flow[None]:
        """Connects, and goes on after the last event that was heard."""
        self._opened_s = math.inf
        headers = {"Accept": MEDIA_TYPE, "Cache-Control": "no-store"}
        if self._last_event_id is not None:
            headers[LAST_EVENT_ID] = self._last_event_id
        call = Call("GET", self._path, headers=headers, hold_s=KEEP_ALIVE_S, limit_s=SILENCE_S)
        answer = yield from listen(call)
        if not answer.is_success:
            raise refusal(answer)
        _check(answer)
        self._opened_s = yield from clock()

    def _take(self, heard: ServerSentEvent) -> TaskEvent | None:
        """The event, or None for one of a kind that is not known here."""
        if heard.retry is not None:
            self._retry_s = min(max(heard.retry / 1000, LEAST_RETRY_S), LONGEST_RETRY_S)
        match heard.event:
            case "transition":
                self._last_event_id = heard.id
                found = {"event": heard.event, "id": heard.id, "data": json.loads(heard.data)}
            case "progress" | "end":
                found = {"event": heard.event, "id": None, "data": json.loads(heard.data)}
            case _:
                return None
        return cast(TaskEvent, found)

    def _after(self, error: ConnectError | ApiError) -> Flow[Sleep]:
        """The pause before the next try; raises what does not pass, or lasts too long.

        A stream that was cut after it spoke, or stood for a while, is taken up at the server's
        pace; one that opens and is cut at once, over and over, is a failure.
        """
        if isinstance(error, ApiError) and not is_passing(error):
            raise error
        now_s = yield from clock()
        if now_s - self._opened_s >= KEEP_ALIVE_S:
            self._failures = 0
        if self._failures == 0:
            self._answered_s = now_s
        pause = backoff(self._failures, error)
        self._failures += 1
        least_s = max(pause.shortest_s, self._retry_s)
        if now_s + least_s - self._answered_s > self._patience_s:
            raise error
        return Sleep(least_s, least_s + pause.longest_s - pause.shortest_s)


def _check(answer: Answer) -> None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind != MEDIA_TYPE:
        message = f"{answer.url} answered with {kind or 'nothing'}, not with {MEDIA_TYPE}."
        raise ApiError(answer.status, {"message": message})
