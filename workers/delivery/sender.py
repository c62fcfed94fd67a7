"""One attempt on one channel, as a signed POST; another channel is one more `Sender`."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSSLError,
    ServerFingerprintMismatch,
)
from aiohttp.hdrs import CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, USER_AGENT
from yarl import URL

from app.deliveries.attempt import Result
from app.deliveries.delivery import Delivery, ErrorKind
from app.deliveries.retry import read_retry_after
from app.deliveries.signature import SIGNATURE, signed_headers
from app.egress.guard import EgressRefusedError, Guard
from app.egress.session import Content, Session, read_beginning
from app.egress.target import read_target
from app.webhooks.destination import Destination
from app.webhooks.url import SCHEMES

MAX_ANSWER_BYTES: Final = 64 * 1024
# What the log keeps of an answer: a delivery holds as many attempts as `MAX_ATTEMPTS`, and
# MongoDB holds documents of 16 MB.
MAX_HEADERS: Final = 50
MAX_HEADER_CHARACTERS: Final = 1_000
MAX_HEADERS_BYTES: Final = 8 * 1024
URLS: Final = 1_000
HIDDEN: Final = "redacted"

OWN_HEADERS: Final[Mapping[str, str]] = {
    str(CONTENT_TYPE): "application/json",
    str(USER_AGENT): "waybill",
}


class Sender(Protocol):
    """Carries deliveries of a channel out, one attempt at a call."""

    async def send(self, delivery: Delivery, destination: Destination) -> Result:
        """How the attempt went; raises for nothing that the receiver does."""


class PostSender:
    """Sends a delivery's bytes to its destination's URL, through the egress guard."""

    def __init__(self, session: Session, guard: Guard, *, timeout_s: float) -> None:
        """No attempt takes longer than `timeout_s`, whatever its destination asks for."""
        self._session = session
        # The same few URLs again and again; what is refused is not kept.
        self._target = lru_cache(URLS)(partial(read_target, guard=guard, schemes=SCHEMES))
        self._timeout_s = timeout_s

    async def send(self, delivery: Delivery, destination: Destination) -> Result:
        """As `Sender` promises."""
        signed = signed_headers(
            destination.keys, delivery.event_id, int(time.time()), delivery.body
        )
        # Ours last: an owner's header never takes the place of one that the receiver relies on.
        headers: dict[str, str] = {**destination.headers, **OWN_HEADERS, **signed}
        logged = _without_secrets(headers, destination.headers)
        start_s = time.perf_counter()
        timeout_s = min(destination.timeout_s, self._timeout_s)
        try:
            url = self._checked(destination.url)
            content = Content(delivery.body, headers, timeout_s)
            async with self._session.calling("POST", url, content) as answer:
                body = await read_beginning(answer, MAX_ANSWER_BYTES)
                return _answered(answer, body, _since_ms(start_s), logged)
        except (EgressRefusedError, ClientError, TimeoutError, OSError, ValueError) as exc:
            kind, error = _failure(exc, timeout_s)
            return Result(
                latency_ms=_since_ms(start_s),
                error_kind=kind,
                error=error,
                request_headers=logged,
            )

    def _checked(self, url: str) -> URL:
        """A URL that was taken once may be one that is not taken today: it is refused then."""
        try:
            return self._target(url)
        except ValueError as exc:
            raise EgressRefusedError(str(exc)) from exc


def _answered(
    answer: ClientResponse, body: bytes, latency_ms: int, logged: Mapping[str, str]
) -> Result:
    is_success = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
    return Result(
        status_code=answer.status,
        latency_ms=latency_ms,
        error_kind=None if is_success else ErrorKind.STATUS,
        error=None if is_success else f"The receiver answered {answer.status}, which is no 2xx.",
        retry_after_s=read_retry_after(answer.headers.get(RETRY_AFTER), now=datetime.now(UTC)),
        request_headers=logged,
        response_headers=_kept(answer),
        response_body=_cut(body.decode(errors="replace"), MAX_ANSWER_BYTES),
    )


def _failure(error: Exception, timeout_s: float) -> tuple[ErrorKind, str]:
    """The kind and a sentence, which names neither hosts nor addresses."""
    match error:
        case EgressRefusedError():
            return ErrorKind.REFUSED_ADDRESS, f"Refused: {error}."
        case TimeoutError():
            return ErrorKind.TIMEOUT, f"The receiver took longer than {timeout_s:g} s."
        case ClientConnectorDNSError():
            return ErrorKind.DNS, "The host of the URL cannot be looked up."
        case ClientSSLError() | ServerFingerprintMismatch():
            return ErrorKind.TLS, "The receiver's certificate or its TLS is not trusted here."
        case ClientConnectorError():
            return ErrorKind.CONNECT, "The receiver takes no connections."
        case ClientError() | OSError():
            return ErrorKind.PROTOCOL, "The connection broke, or what came back is no HTTP."
        case _:
            return ErrorKind.PROTOCOL, "The URL cannot be called as it stands."


def _without_secrets(headers: Mapping[str, str], owners: Mapping[str, str]) -> dict[str, str]:
    """As the log keeps them: what the owner added may be a password, so by name only."""
    hidden = {name.lower() for name in owners} - {name.lower() for name in OWN_HEADERS}
    return {
        _storable(name): HIDDEN if name.lower() in hidden else value
        for name, value in headers.items()
        if name != SIGNATURE
    }


def _kept(answer: ClientResponse) -> dict[str, str]:
    found = [(name, value) for name, value in answer.headers.items() if name != SET_COOKIE]
    kept: dict[str, str] = {}
    left = MAX_HEADERS_BYTES
    for name, value in found[:MAX_HEADERS]:
        key = _storable(_cut(name.lower(), left))
        kept[key] = _cut(_readable(value)[:MAX_HEADER_CHARACTERS], left - len(key.encode()))
        left -= len(key.encode()) + len(kept[key].encode())
        if left <= 0:
            break
    return kept


def _cut(text: str, size_bytes: int) -> str:
    """The beginning of the text that takes no more bytes in UTF-8."""
    return text.encode()[:size_bytes].decode(errors="ignore")


def _readable(value: str) -> str:
    """The text without the bytes that are no UTF-8, which no store holds."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _storable(name: str) -> str:
    """A header's name as a key in MongoDB, which reads paths and operators into some."""
    return name.replace(".", "_").replace("$", "_")[:MAX_HEADER_CHARACTERS]


def _since_ms(start_s: float) -> int:
    return round((time.perf_counter() - start_s) * 1000)
