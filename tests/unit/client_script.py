"""Drives the client's flows by hand: answers from a list, and a clock that only pauses move."""

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from httpx_sse import ServerSentEvent

from waybill.driver.course import Course
from waybill.error import ClientError, ConnectError
from waybill.flow.step import Answer, Call, Clock, Hear, Item, Listen, Reply, Send, Sleep, Step, Try

T = TypeVar("T")
V = TypeVar("V")

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
AWAY = ConnectError("No server answers at http://127.0.0.1:9: refused.")


def answer(
    status: int = 200, content: object = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """An answer with this JSON, or with these bytes."""
    body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
    return Answer(status, headers or {}, body, "http://127.0.0.1:9", NOW)


def refused(
    status: int, *, retry_after: str | None = None, details: Mapping[str, Any] | None = None
) -> Answer:
    """An answer of the API that is no success."""
    error = {"message": f"It is {status}.", "type": "SomeError", "details": dict(details or {})}
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return answer(status, {"success": False, "status": status, "error": error}, headers)


@dataclass(frozen=True, slots=True)
class Held:
    """An answer that took a while."""

    answer: Answer
    took_s: float


Line = Answer | Held | ServerSentEvent | ClientError | None


@dataclass
class Script:
    """What comes of each call and each look into a stream, in this order."""

    lines: list[Line]
    calls: list[Call] = field(default_factory=list)
    pauses: list[Sleep] = field(default_factory=list)
    now_s: float = 1_000.0

    def run(self, flow: Generator[Step, Reply, T]) -> T:
        """What the flow comes to."""
        course: Course[Step, T] = Course(flow)
        assert list(self._drive(course)) == []
        return course.result

    def items(self, flow: Generator[Step | Item[V], Reply, None]) -> Iterator[V]:
        """The flow's items."""
        yield from self._drive(Course(flow))

    def _drive(self, course: Course[Step, T] | Course[Step | Item[V], None]) -> Iterator[V]:
        while (step := course.step) is not None:
            if isinstance(step, Item):
                yield step.value
                course.reply(None)
                continue
            try:
                reply = self._reply(step)
            except ClientError as exc:
                course.fail(exc)
            else:
                course.reply(reply)

    def _reply(self, step: Step) -> Reply:
        match step:
            case Send(call) | Try(call) | Listen(call):
                self.calls.append(call)
                return self._next()
            case Hear():
                return self._next()
            case Sleep(shortest_s, longest_s):
                assert 0 <= shortest_s <= longest_s
                self.pauses.append(step)
                self.now_s += shortest_s
                return None
            case Clock():
                return self.now_s

    def _next(self) -> Reply:
        line = self.lines.pop(0)
        if isinstance(line, ClientError):
            raise line
        if isinstance(line, Held):
            self.now_s += line.took_s
            return line.answer
        return line
