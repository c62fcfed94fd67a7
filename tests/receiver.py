"""A receiver of webhooks on the loopback, in this process, with answers that tests set."""

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from standardwebhooks.webhooks import Webhook

LOOPBACK: Final = "127.0.0.1"
HANGS: Final = 0  # in the place of a status: answered when the receiver ends


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Received:
    """One request, its headers' names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> None:
        """Raises unless the oracle finds a signature by the secret."""
        Webhook(secret).verify(self.body, dict(self.headers))


class Receiver:
    """What arrived so far; a path answers 204 unless it was told otherwise."""

    def __init__(self) -> None:
        self.port = 0
        self.ended = threading.Event()
        self.on_request: Callable[[], None] = lambda: None  # before the answer
        self._received: list[Received] = []
        self._replies: dict[str, list[Reply]] = defaultdict(list)
        self._lock = threading.Lock()

    def url(self, path: str, *, host: str = LOOPBACK) -> str:
        """The URL of `path`, which begins with a slash."""
        return f"http://{host}:{self.port}{path}"

    def reply(self, path: str, *replies: Reply) -> None:
        """Answers `path` with these in turn from now on, with the last one for ever."""
        with self._lock:
            self._replies[path] = list(replies)

    def received(self, path: str) -> list[Received]:
        """The requests to the path, in the order in which they came."""
        with self._lock:
            return [each for each in self._received if each.path == path]

    def take(self, request: Received) -> Reply:
        """Notes a request, and says what it is answered."""
        with self._lock:
            self._received.append(request)
            replies = self._replies[request.path] or [Reply()]
            return replies.pop(0) if len(replies) > 1 else replies[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever called has died, as tests want it."""
        assert isinstance(sys.exception(), ConnectionError)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """The receiver answers within the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.take(Received(self.path, headers, body))
            receiver.on_request()
            if reply.status == HANGS:
                receiver.ended.wait()
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    with _Server((LOOPBACK, 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()
