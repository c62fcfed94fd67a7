"""Methods that are written once, as flows, and called on both clients.

On a blocking client's group a method gives its outcome, on an asynchronous one's something to
await; the types say which, with the parameters as they are declared.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from waybill.driver.asynchronous import AsyncDriver
from waybill.driver.blocking import SyncDriver
from waybill.flow.step import Flow, ItemFlow

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound=SyncDriver | AsyncDriver)
Owner = TypeVar("Owner")


class Group(Generic[D]):
    """Calls that belong together, and what runs them."""

    def __init__(self, driver: D) -> None:
        self._driver = driver


class Endpoint(Generic[P, T]):
    """A method with one outcome."""

    def __init__(self, flow_of: Callable[..., Flow[T]]) -> None:
        self._flow_of = flow_of
        self.__doc__ = flow_of.__doc__

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[SyncDriver], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, group: Group[AsyncDriver], owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, group: Group[SyncDriver] | Group[AsyncDriver] | None, owner: type) -> object:
        if group is None:
            return self
        run = group._driver.run

        @wraps(self._flow_of)
        def call(*args: P.args, **kwargs: P.kwargs) -> object:
            return run(self._flow_of(group, *args, **kwargs))

        return call


class ItemEndpoint(Generic[P, T]):
    """A method whose outcome is iterated over."""

    def __init__(self, flow_of: Callable[..., ItemFlow[T]]) -> None:
        self._flow_of = flow_of
        self.__doc__ = flow_of.__doc__

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[SyncDriver], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, group: Group[AsyncDriver], owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, group: Group[SyncDriver] | Group[AsyncDriver] | None, owner: type) -> object:
        if group is None:
            return self
        items = group._driver.items

        @wraps(self._flow_of)
        def call(*args: P.args, **kwargs: P.kwargs) -> object:
            return items(self._flow_of(group, *args, **kwargs))

        return call


def endpoint(flow_of: Callable[Concatenate[Owner, P], Flow[T]]) -> Endpoint[P, T]:
    """Declares a method by the flow that it runs."""
    return Endpoint(flow_of)


def items(flow_of: Callable[Concatenate[Owner, P], ItemFlow[T]]) -> ItemEndpoint[P, T]:
    """Declares an iterator by the flow that it runs."""
    return ItemEndpoint(flow_of)
