"""A flow under way: what it wants next, and what it came to."""

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from waybill.flow.step import Reply

S = TypeVar("S")
T = TypeVar("T")


class Course(Generic[S, T]):
    """Runs a flow from step to step; `step` is None once it has ended, and `result` is there."""

    _result: T

    def __init__(self, flow: Generator[S, Reply, T]) -> None:
        self._flow = flow
        self.step: S | None = None
        self._advance(lambda: next(flow))

    @property
    def result(self) -> T:
        """What the flow came to."""
        return self._result

    def reply(self, reply: Reply) -> None:
        """The step was done, with this outcome."""
        self._advance(lambda: self._flow.send(reply))

    def fail(self, error: Exception) -> None:
        """The step could not be done; raises the error again unless the flow knows what to do."""
        self._advance(lambda: self._flow.throw(error))

    def close(self) -> None:
        """Nobody wants the rest."""
        self._flow.close()

    def _advance(self, go_on: Callable[[], S]) -> None:
        try:
            self.step = go_on()
        except StopIteration as end:
            self.step, self._result = None, end.value
