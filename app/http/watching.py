"""What requests that wait stand on: the process's watch, their client, and its stop."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request

from app.receipts.watch import Watch

STOPS: Final = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


async def watch_of(request: Request) -> Watch:
    """The dependency that gives a route the watch of its process."""
    found = request.app.state.watch
    assert isinstance(found, Watch)
    return found


Watching = Annotated[Watch, Depends(watch_of)]


async def while_connected(request: Request, waiting: Coroutine[None, None, T]) -> T | None:
    """What `waiting` gives, or None: the client went away, and the wait was ended.

    For requests whose body has been read, or that have none.
    """
    answer = asyncio.create_task(waiting)
    departure = asyncio.create_task(_departure(request))
    try:
        await asyncio.wait({answer, departure}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        answer.cancel()
        departure.cancel()
        await asyncio.gather(answer, departure, return_exceptions=True)


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@contextmanager
def told_of_stop(leave: Callable[[], None]) -> Iterator[None]:
    """Calls `leave` in the event loop as soon as a signal asks this process to stop.

    uvicorn tells the lifespan of it only once every answer is out, and held ones wait for that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread, and to its server
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOPS}

    def pass_on(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(leave)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in STOPS:
        signal.signal(number, pass_on)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
