"""Between our calls and httpx: the same for its blocking and its asynchronous client."""

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from waybill.connection import Connection
from waybill.error import ConnectError
from waybill.flow.step import Answer, Call
from waybill.version import __version__

AnyClient = httpx.Client | httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class Wire:
    """How one client calls one server."""

    connection: Connection
    timeout_s: float

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every request carries; a namespace's name goes as UTF-8."""
        headers = [
            (b"Authorization", f"Bearer {self.connection.api_key}".encode()),
            (b"User-Agent", f"waybill/{__version__}".encode()),
        ]
        if self.connection.namespace is not None:
            headers.append((b"X-Namespace", self.connection.namespace.encode()))
        return headers

    def request(self, http: AnyClient, call: Call) -> httpx.Request:
        """The call as httpx sends it."""
        if http.is_closed:
            raise RuntimeError("This client is closed: make another one.")
        timeout_s = self.timeout_s + call.hold_s
        if call.limit_s is not None:
            timeout_s = min(timeout_s, call.limit_s)
        return http.build_request(
            call.method,
            call.path,
            json=call.body,
            params=call.params or None,
            headers=dict(call.headers),
            timeout=timeout_s,
        )

    def answer(self, response: httpx.Response, body: bytes) -> Answer:
        """What came back."""
        return Answer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
            url=self.connection.shown_url,
            received_at=datetime.now(UTC),
        )

    def cut(self, error: httpx.RequestError) -> ConnectError:
        """One sentence for a call that got no answer."""
        url = self.connection.shown_url
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return ConnectError(f"No server answers at {url}: {str(error) or 'timed out'}.")
            case httpx.TimeoutException():
                return ConnectError(f"The server at {url} did not answer in time.")
            case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
                return ConnectError(f"The call to {url} cannot be sent: {error}.")
            case _:
                return ConnectError(f"The connection to {url} was cut before the answer was whole.")
