"""Both clients behind one interface, so that each test of one is a test of the other."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

from waybill import AsyncClient, Client
from waybill.endpoint import Group

Kind = Literal["blocking", "asynchronous"]
KINDS: tuple[Kind, ...] = ("blocking", "asynchronous")


@contextmanager
def opened(kind: Kind, *args: Any, **options: Any) -> Iterator[Client]:
    """A client of this kind; an asynchronous one runs in a loop of its own, and is awaited."""
    if kind == "blocking":
        with Client(*args, **options) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        asynchronous = AsyncClient(*args, **options)
        try:
            yield cast(Client, _Awaited(runner, asynchronous))
        finally:
            runner.run(asynchronous.close())


class _Awaited:
    """An asynchronous client, or a group of it, whose calls are awaited."""

    def __init__(self, runner: asyncio.Runner, target: Group[Any]) -> None:
        self._runner = runner
        self._target = target

    def __getattr__(self, name: str) -> "_Awaited | Callable[..., object]":
        found = getattr(self._target, name)
        if isinstance(found, Group):
            return _Awaited(self._runner, found)

        def call(*args: Any, **options: Any) -> object:
            outcome = found(*args, **options)
            if inspect.iscoroutine(outcome):
                return self._runner.run(outcome)
            return self._each(outcome)

        return call

    def _each(self, items: AsyncIterator[object]) -> Iterator[object]:
        async def take() -> tuple[object, ...]:
            async for item in items:
                return (item,)
            return ()

        while found := self._runner.run(take()):
            yield found[0]
