"""A web server on this machine that verifies and answers deliveries, for development."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Final

from waybill.types import JsonObject
from waybill.webhooks import WebhookVerificationError, verify

LARGEST_BYTES: Final = 16 * 1024 * 1024  # more than any event has
PATIENCE_S: Final = 10.0  # for a sender that has not said all it promised


@dataclass(frozen=True, slots=True)
class Heard:
    """One delivery, once it is answered: `event` unless it is not to be believed, which `error`
    says why. `at` is when it had come.
    """

    at: datetime
    webhook_id: str
    event: JsonObject | None
    error: str | None
    status: int

    def to_json(self) -> JsonObject:
        return {
            "webhook_id": self.webhook_id,
            "status": self.status,
            "error": self.error,
            "body": self.event,
        }


class Receiver(ThreadingHTTPServer):
    """Listens from the start and answers while it serves; what it heard is in `heard`.

    What is signed with one of the `secrets` is answered with `status`, all else with 401.
    """

    daemon_threads = False  # closing waits until whoever was heard is answered

    def __init__(self, host: str, port: int, *, status: int) -> None:
        super().__init__((host, port), _Handler)
        self.secrets: Sequence[str] = ()
        self.status = status
        self.heard: SimpleQueue[Heard] = SimpleQueue()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}/"

    @contextmanager
    def serving(self, secrets: Sequence[str]) -> Iterator[None]:
        """Answers within the block. Who came before it waits, and is answered then."""
        self.secrets = secrets
        thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request; the connection ends with it."""

    server: Receiver
    timeout = PATIENCE_S

    def handle(self) -> None:
        """As always, but that a sender that went away is no news."""
        with suppress(OSError):
            super().handle()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > len(str(LARGEST_BYTES)) or int(length) > LARGEST_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            heard = self._hear(self.rfile.read(int(length)))
            self.send_response(heard.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.server.heard.put(heard)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the same)
        """Says nothing: what was heard is told by whoever reads the queue."""

    def _hear(self, body: bytes) -> Heard:
        at = datetime.now(UTC)
        webhook_id = self.headers.get("webhook-id", "")
        try:
            event = verify(body, self.headers, self.server.secrets)
        except WebhookVerificationError as exc:
            return Heard(at, webhook_id, None, str(exc), HTTPStatus.UNAUTHORIZED)
        return Heard(at, webhook_id, event, None, self.server.status)
