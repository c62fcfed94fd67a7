"""HTTP sessions that dial checked addresses only, and answers read up to a bound."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import (
    AddrInfoType,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    TraceConfig,
)
from aiohttp.abc import AbstractResolver
from aiohttp.hdrs import ACCEPT_ENCODING, USER_AGENT
from yarl import URL

from app.egress.guard import EgressRefusedError, Guard

PIECE_BYTES: Final = 64 * 1024
CONNECT_TIMEOUT_S: Final = 5.0  # of one address; a name may have several


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


def open_session(
    guard: Guard,
    *,
    tls: ssl.SSLContext,
    timeout_s: float,
    resolver: AbstractResolver | None = None,
) -> ClientSession:
    """A session whose every connection passes the guard; made inside of a running loop.

    A call takes at most `timeout_s`, from the look-up of the name to the last byte. Cookies are not
    kept, the proxies and the .netrc of the environment are not used, and compressed answers are not
    asked for nor unpacked, so that bytes read are bytes held. Redirects are not followed: a call
    without `allow_redirects=False` raises `EgressRefusedError` at the first.
    """
    connector = TCPConnector(
        ssl=tls,
        resolver=resolver,
        socket_factory=SocketFactory(guard),
        # Racing addresses swallows a refusal: aiohappyeyeballs goes on after any exception of one
        # racer and then finds no reason to report. In sequence, a refusal ends the call.
        happy_eyeballs_delay=None,
    )
    no_redirects = TraceConfig()
    no_redirects.on_request_redirect.append(_refuse_redirect)
    return ClientSession(
        connector=connector,
        trace_configs=[no_redirects],
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
        headers={USER_AGENT: "waybill", ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
        trust_env=False,
    )


async def _refuse_redirect(*_: object) -> None:
    raise EgressRefusedError("the URL is redirected, which is not followed here")


@asynccontextmanager
async def calling(session: ClientSession, method: str, url: URL) -> AsyncIterator[ClientResponse]:
    """The answer to one call. Its connection is kept where the body was read to its end.

    Elsewhere it is dropped at once: TLS's polite end would wait for a server that goes on talking.
    """
    async with session.request(method, url, allow_redirects=False) as answer:
        try:
            yield answer
        finally:
            connection = answer.connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()


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
