"""https:// URLs, through the egress guard."""

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientError,
    ClientResponse,
    InvalidURL,
)
from aiohttp.hdrs import CONTENT_ENCODING, LOCATION
from yarl import URL

from app.egress.guard import Guard
from app.egress.session import Session, open_session, read_bounded, trust
from app.egress.target import read_target
from app.errors import PermanentError, TransientError
from app.fetch.scheme import too_large

SCHEMES: Final = ("https",)
MAX_REDIRECTS: Final = 3

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# 5xx aside: the server asks for another try.
_BUSY: Final = frozenset({408, 425, 429})
# The name exists nowhere, whoever asks; other look-ups that fail may succeed later.
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})


@dataclass(frozen=True, slots=True)
class Egress:
    """How servers elsewhere are called."""

    guard: Guard
    ca_file: Path | None  # PEM: certificates trusted besides the system's
    timeout_s: float


class HttpsReader:
    """Reads what a server answers with 200 to GET. Each redirect is checked as the first URL is."""

    def __init__(self, egress: Egress, max_bytes: int) -> None:
        self._egress = egress
        self._max_bytes = max_bytes
        self._session: Session | None = None

    def check(self, url: str) -> None:
        """As `SchemeReader` promises; no name is looked up."""
        read_target(url, self._egress.guard, schemes=SCHEMES)

    async def read(self, url: str) -> bytes:
        """As `SchemeReader` promises; the time-out bounds all redirects together."""
        target = read_target(url, self._egress.guard, schemes=SCHEMES)
        try:
            async with asyncio.timeout(self._egress.timeout_s):
                return await self._follow(target)
        except ClientConnectorCertificateError as exc:
            raise PermanentError(
                "the server of the https:// URL has no certificate that is trusted here"
            ) from exc
        except ClientConnectorDNSError as exc:
            if getattr(exc.os_error, "errno", None) in _NO_SUCH_NAME:
                raise PermanentError("the host of the https:// URL does not exist") from exc
            raise TransientError("the host of the https:// URL cannot be looked up now") from exc
        except InvalidURL as exc:
            raise PermanentError("the https:// URL cannot be called as it stands") from exc
        except TimeoutError as exc:
            raise TransientError("the server of the https:// URL took too long") from exc
        except (ClientError, OSError) as exc:
            raise TransientError("the server of the https:// URL cannot be reached now") from exc

    async def close(self) -> None:
        """Closes the connections that were kept for further reads."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(self, target: URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._opened().calling("GET", target) as answer:
                if answer.status not in _REDIRECTS:
                    return await self._content(answer)
                target = self._next(target, answer.headers.get(LOCATION))
        raise PermanentError(f"the https:// URL is redirected more than {MAX_REDIRECTS} times")

    def _opened(self) -> Session:
        if self._session is None:
            egress = self._egress
            tls = trust(egress.ca_file)
            self._session = open_session(egress.guard, tls=tls, timeout_s=egress.timeout_s)
        return self._session

    def _next(self, target: URL, location: str | None) -> URL:
        try:
            joined = str(target.join(URL(location or "", encoded=True)))
            return read_target(joined.split("#")[0], self._egress.guard, schemes=SCHEMES)
        except ValueError as exc:
            raise PermanentError(f"the https:// URL is redirected to a wrong one: {exc}") from exc

    async def _content(self, answer: ClientResponse) -> bytes:
        status = answer.status
        if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(f"the server of the https:// URL answered {status}")
        if status != HTTPStatus.OK:
            raise PermanentError(f"the server of the https:// URL answered {status}, not 200")
        if answer.headers.get(CONTENT_ENCODING, "identity").lower() != "identity":
            raise PermanentError(
                "the server of the https:// URL answered with compressed content, unasked"
            )
        content = await read_bounded(answer, self._max_bytes)
        if content is None:
            raise PermanentError(too_large("the content at the https:// URL", self._max_bytes))
        return content
