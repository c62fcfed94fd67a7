"""An event loop beside the test, as a process of the API has one."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

WITHIN_S = 60.0

T = TypeVar("T")


class Loop:
    """Runs coroutines in its thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def begin(self, coroutine: Coroutine[None, None, T]) -> "Future[T]":
        """Starts it; the future has what it gives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[None, None, T]) -> T:
        """What it gives."""
        return self.begin(coroutine).result(WITHIN_S)

    @contextmanager
    def within(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Inside the block, which is entered and left in the loop, by one task."""
        leave = asyncio.Event()
        entered: Future[T] = Future()

        async def stay() -> None:
            async with block as found:
                entered.set_result(found)
                await leave.wait()

        staying = self.begin(stay())
        try:
            yield entered.result(WITHIN_S)
        finally:
            self._loop.call_soon_threadsafe(leave.set)
            staying.result(WITHIN_S)

    def close(self) -> None:
        """Stops the loop; what runs in it must have ended."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def beside() -> Iterator[Loop]:
    """A loop that runs within the block."""
    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()
