"""What the client does, without doing it: a flow is a generator of steps.

Whoever drives it performs each step and sends the reply back in; a failed step is thrown into it.
So one flow serves the blocking and the asynchronous client, and a test can drive it by hand.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from httpx_sse import ServerSentEvent

from waybill.error import ApiError
from waybill.types import JsonObject

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. A `repeatable` one may be sent again after an unclear end.

    The server may hold its answer for `hold_s`, which is added to the client's time-out;
    `limit_s` shortens it.
    """

    method: str
    path: str
    body: object = None
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    hold_s: float = 0.0
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `headers` have lower-case names, `body` is empty for a stream that runs."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    received_at: datetime

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Send:
    """Make the call, as often as it takes; the reply is its successful answer."""

    call: Call


@dataclass(frozen=True, slots=True)
class Try:
    """Make the call once; the reply is its answer, whatever it is. Throws `ConnectError`."""

    call: Call


@dataclass(frozen=True, slots=True)
class Listen:
    """Like `Try`, and leave a successful answer open for `Hear`; closes an earlier one."""

    call: Call


@dataclass(frozen=True, slots=True)
class Hear:
    """The next event of the open answer, None when it was closed. Throws `ConnectError`."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Pause for a time that chance picks between the two, in seconds."""

    shortest_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """The seconds of a clock that only goes forward."""


@dataclass(frozen=True, slots=True)
class Item(Generic[T_co]):
    """One thing for whoever iterates."""

    value: T_co


Step: TypeAlias = Send | Try | Listen | Hear | Sleep | Clock
Reply: TypeAlias = Answer | ServerSentEvent | float | None
Flow: TypeAlias = Generator[Step, Reply, T]
ItemFlow: TypeAlias = Generator[Step | Item[T], Reply, None]


def send(call: Call) -> Flow[Answer]:
    """A successful answer; raises `ApiError` for any other, `ConnectError` where there is none."""
    return _answer((yield Send(call)))


def attempt(call: Call) -> Flow[Answer]:
    """The answer to one try."""
    return _answer((yield Try(call)))


def listen(call: Call) -> Flow[Answer]:
    """The head of a stream, or the whole of an answer that is no success."""
    return _answer((yield Listen(call)))


def hear() -> Flow[ServerSentEvent | None]:
    """The next event of the stream, None at its end."""
    reply = yield Hear()
    assert reply is None or isinstance(reply, ServerSentEvent)
    return reply


def clock() -> Flow[float]:
    """The time, in seconds."""
    reply = yield Clock()
    assert isinstance(reply, float)
    return reply


def sleep(shortest_s: float, longest_s: float) -> Flow[None]:
    """A pause between the two."""
    yield Sleep(shortest_s, longest_s)


def fetch(call: Call) -> Flow[JsonObject]:
    """The JSON object of a successful answer."""
    return json_of((yield from send(call)))


def json_of(answer: Answer) -> JsonObject:
    """The object in the body; `ApiError` where there is none, as behind a wrong URL."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        message = f"The answer of {answer.url} is no JSON object: is this the URL of a Waybill API?"
        raise ApiError(answer.status, {"message": message})
    return content


def _answer(reply: Reply) -> Answer:
    assert isinstance(reply, Answer)
    return reply
