"""A web server over TLS on an address of the loopback, with answers that tests set."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

# Not 127.0.0.1, so that `localhost` is an address which an operator who allows this one refuses.
ADDRESS: Final = "127.0.0.2"
NAME: Final = "files.example.org"  # which no server knows: tests resolve it themselves
MEET_WITHIN_S: Final = 60.0
DRIP_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """What one path answers; `drips` sends the body byte by byte, for ever."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drips: bool = False
    chunked: bool = False


@dataclass(slots=True)
class Web:
    """A running server: its answers by path, and what it was asked."""

    port: int
    ca_file: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    meeting: threading.Barrier | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, *, host: str = ADDRESS) -> str:
        """The URL of `path`, which begins with a slash."""
        return f"https://{host}:{self.port}{path}"

    def put(self, path: str, body: bytes) -> str:
        """Answers `path` with `body` from now on, and returns its URL."""
        self.answers[path] = Answer(body)
        return self.url(path)


@contextmanager
def running_web(folder: Path) -> Iterator[Web]:
    """A server whose certificate is made in `folder`; ends with the block."""
    certificate, key = _certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((ADDRESS, 0), BaseHTTPRequestHandler)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    web = Web(server.server_port, certificate)
    server.RequestHandlerClass = _handler(web)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web._ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def do_GET(self) -> None:
            web.asked.append((self.path, dict(self.headers.items())))
            if web.meeting is not None:
                web.meeting.wait(MEET_WITHIN_S)
            self._send(web.answers.get(self.path, Answer(status=404)))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.drips or answer.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if answer.drips:
                self._drip()
            elif answer.chunked:
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer.body), answer.body))
            else:
                self.wfile.write(answer.body)

        def _drip(self) -> None:
            self.close_connection = True
            try:
                while not web._ended.wait(DRIP_S):
                    self.wfile.write(b"1\r\n.\r\n")
            except OSError:  # whoever asked has left
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    return Handler


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for `ADDRESS` and its key, both PEM."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    openssl = shutil.which("openssl")
    assert openssl is not None, "the tests make their certificate with the command openssl"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"),
            *("-subj", "/CN=waybill-tests", "-addext", f"subjectAltName=IP:{ADDRESS},DNS:{NAME}"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
