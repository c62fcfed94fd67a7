"""HTTP sessions that dial checked addresses only, and answers read up to a bound."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import (
    AddrInfoType,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from aiohttp.hdrs import ACCEPT_ENCODING, USER_AGENT
from yarl import URL

from app.egress.guard import Guard

PIECE_BYTES: Final = 64 * 1024
CONNECT_TIMEOUT_S: Final = 5.0  # of one address; a name may have several
CONNECTIONS: Final = 100


class SocketFactory:
    """Makes the socket for an address that is about to be dialled, where the guard lets it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __call__(self, info: AddrInfoType) -> socket.socket:
        """Raises `EgressRefusedError` before there is a socket.

        This is the only place that a name's changing answers cannot get past: the address checked
        is the one that is dialled next.
        """
        family, kind, protocol, _, address = info
        self._guard.check_address(address[0])
        self._guard.check_port(address[1])
        return socket.socket(family=family, type=kind, proto=protocol)


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies servers by the system's certificates, and by those in `ca_file` (PEM) as well."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


@dataclass(frozen=True, slots=True)
class Content:
    """What a call sends: its body, with further headers, and its own bound on the whole call."""

    body: bytes
    headers: Mapping[str, str]
    timeout_s: float


class Call:
    """One call, made where its block begins. Its connection is kept where the body was read to its
    end.

    Elsewhere it is dropped at once: TLS's polite end would wait for a server that goes on talking.
    """

    def __init__(self, request: AbstractAsyncContextManager[ClientResponse]) -> None:
        self._request = request
        self._answer: ClientResponse | None = None

    async def __aenter__(self) -> ClientResponse:
        self._answer = await self._request.__aenter__()
        return self._answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        connection = None if self._answer is None else self._answer.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        await self._request.__aexit__(kind, error, trace)


class Session:
    """Connections that are kept for further calls; no call follows a redirect, whoever makes it."""

    def __init__(self, client: ClientSession) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    def calling(self, method: str, url: URL, content: Content | None = None) -> Call:
        """The answer to one call."""
        options: dict[str, Any] = {}
        if content is not None:
            options["data"] = content.body
            options["headers"] = content.headers
            options["timeout"] = ClientTimeout(
                total=content.timeout_s, sock_connect=CONNECT_TIMEOUT_S
            )
        return Call(self._client.request(method, url, allow_redirects=False, **options))


def open_session(
    guard: Guard,
    *,
    tls: ssl.SSLContext,
    timeout_s: float,
    resolver: AbstractResolver | None = None,
    connections: int = CONNECTIONS,
) -> Session:
    """A session whose every connection passes the guard; made inside of a running loop.

    It has at most so many connections; a call that waits for one of them is on its way already.

    A call takes at most `timeout_s`, from the look-up of the name to the last byte. Cookies are not
    kept, the proxies and the .netrc of the environment are not used, and compressed answers are not
    asked for nor unpacked, so that bytes read are bytes held.
    """
    connector = TCPConnector(
        ssl=tls,
        limit=connections,
        resolver=resolver,
        socket_factory=SocketFactory(guard),
        # Racing addresses swallows a refusal: aiohappyeyeballs goes on after any exception of one
        # racer and then finds no reason to report. In sequence, a refusal ends the call.
        happy_eyeballs_delay=None,
    )
    client = ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
        headers={USER_AGENT: "waybill", ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
        trust_env=False,
    )
    return Session(client)


async def read_bounded(answer: ClientResponse, max_bytes: int) -> bytes | None:
    """The body of the answer, or None where it has more than `max_bytes`, which are then left."""
    if (answer.content_length or 0) > max_bytes:
        return None
    content = bytearray()
    async for piece in answer.content.iter_chunked(PIECE_BYTES):
        content += piece
        if len(content) > max_bytes:
            return None
    return bytes(content)


async def read_beginning(answer: ClientResponse, max_bytes: int) -> bytes:
    """The body of the answer, or its first `max_bytes`, whatever of it is left then."""
    content = bytearray()
    async for piece in answer.content.iter_chunked(PIECE_BYTES):
        content += piece
        if len(content) >= max_bytes:
            break
    return bytes(content[:max_bytes])
