"""Runs flows and blocks until they are done."""

import random
import time
from collections.abc import Iterator
from typing import TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent

from waybill.driver.course import Course
from waybill.driver.wire import Wire
from waybill.error import ClientError
from waybill.flow.retry import Patience, persistent
from waybill.flow.step import (
    Answer,
    Call,
    Clock,
    Flow,
    Hear,
    Item,
    ItemFlow,
    Listen,
    Reply,
    Send,
    Sleep,
    Step,
    Try,
)

T = TypeVar("T")
V = TypeVar("V")


class SyncDriver:
    """Performs steps over `httpx.Client`. It keeps nothing of a flow, so threads may share it."""

    def __init__(self, wire: Wire, patience: Patience) -> None:
        self.wire = wire
        self.http = httpx.Client(base_url=wire.connection.base_url, headers=wire.headers)
        self._patience = patience

    def run(self, flow: Flow[T]) -> T:
        """What the flow comes to."""
        course: Course[Step, T] = Course(flow)
        for _ in self._drive(course):
            raise AssertionError("a flow with one outcome has no items")
        return course.result

    def items(self, flow: ItemFlow[T]) -> Iterator[T]:
        """The flow's items, as they are asked for."""
        yield from self._drive(Course(flow))

    def _drive(self, course: Course[Step, T] | Course[Step | Item[V], None]) -> Iterator[V]:
        ear = _Ear(self)
        try:
            while (step := course.step) is not None:
                if isinstance(step, Item):
                    yield step.value
                    course.reply(None)
                    continue
                try:
                    reply = self._perform(step, ear)
                except ClientError as exc:
                    course.fail(exc)
                else:
                    course.reply(reply)
        finally:
            course.close()
            ear.close()

    def _perform(self, step: Step, ear: "_Ear") -> Reply:
        match step:
            case Send(call):
                return self.run(persistent(call, self._patience))
            case Try(call):
                return self._try(call)
            case Listen(call):
                return ear.listen(call)
            case Hear():
                return ear.hear()
            case Sleep(shortest_s, longest_s):
                time.sleep(random.uniform(shortest_s, longest_s))
                return None
            case Clock():
                return time.monotonic()

    def _try(self, call: Call) -> Answer:
        try:
            response = self.http.send(self.wire.request(self.http, call))
        except httpx.RequestError as exc:
            raise self.wire.cut(exc) from exc
        return self.wire.answer(response, response.content)


class _Ear:
    """The stream that one flow listens to, one at a time."""

    def __init__(self, driver: SyncDriver) -> None:
        self._driver = driver
        self._response: httpx.Response | None = None
        self._events: Iterator[ServerSentEvent] = iter(())

    def listen(self, call: Call) -> Answer:
        self.close()
        wire, http = self._driver.wire, self._driver.http
        try:
            response = self._response = http.send(wire.request(http, call), stream=True)
            self._events = EventSource(response).iter_sse()
            return wire.answer(response, b"" if response.is_success else response.read())
        except httpx.RequestError as exc:
            raise wire.cut(exc) from exc

    def hear(self) -> ServerSentEvent | None:
        try:
            return next(self._events, None)
        except httpx.RequestError as exc:
            raise self._driver.wire.cut(exc) from exc

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
