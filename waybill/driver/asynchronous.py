"""Runs flows in an event loop of asyncio."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
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


class AsyncDriver:
    """Performs steps over `httpx.AsyncClient`. The tasks of one event loop may share it."""

    def __init__(self, wire: Wire, patience: Patience) -> None:
        self.wire = wire
        self.http = httpx.AsyncClient(base_url=wire.connection.base_url, headers=wire.headers)
        self._patience = patience

    async def run(self, flow: Flow[T]) -> T:
        """What the flow comes to."""
        course: Course[Step, T] = Course(flow)
        driven: AsyncGenerator[object] = self._drive(course)
        async with aclosing(driven):
            async for _ in driven:
                raise AssertionError("a flow with one outcome has no items")
        return course.result

    async def items(self, flow: ItemFlow[T]) -> AsyncGenerator[T]:
        """The flow's items, as they are asked for."""
        async with aclosing(self._drive(Course(flow))) as driven:
            async for item in driven:
                yield item

    async def _drive(
        self, course: Course[Step, T] | Course[Step | Item[V], None]
    ) -> AsyncGenerator[V]:
        ear = _Ear(self)
        try:
            while (step := course.step) is not None:
                if isinstance(step, Item):
                    yield step.value
                    course.reply(None)
                    continue
                try:
                    reply = await self._perform(step, ear)
                except ClientError as exc:
                    course.fail(exc)
                else:
                    course.reply(reply)
        finally:
            course.close()
            await ear.close()

    async def _perform(self, step: Step, ear: "_Ear") -> Reply:
        match step:
            case Send(call):
                return await self.run(persistent(call, self._patience))
            case Try(call):
                return await self._try(call)
            case Listen(call):
                return await ear.listen(call)
            case Hear():
                return await ear.hear()
            case Sleep(shortest_s, longest_s):
                await asyncio.sleep(random.uniform(shortest_s, longest_s))
                return None
            case Clock():
                return time.monotonic()

    async def _try(self, call: Call) -> Answer:
        try:
            response = await self.http.send(self.wire.request(self.http, call))
        except httpx.RequestError as exc:
            raise self.wire.cut(exc) from exc
        return self.wire.answer(response, response.content)


class _Ear:
    """The stream that one flow listens to, one at a time."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self._response: httpx.Response | None = None
        self._events: AsyncGenerator[ServerSentEvent] | None = None

    async def listen(self, call: Call) -> Answer:
        await self.close()
        wire, http = self._driver.wire, self._driver.http
        try:
            response = self._response = await http.send(wire.request(http, call), stream=True)
            self._events = EventSource(response).aiter_sse()
            return wire.answer(response, b"" if response.is_success else await response.aread())
        except httpx.RequestError as exc:
            raise wire.cut(exc) from exc

    async def hear(self) -> ServerSentEvent | None:
        if self._events is None:
            return None
        try:
            return await anext(self._events, None)
        except httpx.RequestError as exc:
            raise self._driver.wire.cut(exc) from exc

    async def close(self) -> None:
        if self._events is not None:
            await self._events.aclose()
        if self._response is not None:
            await self._response.aclose()
