"""A way to PostgreSQL that loses answers: what was asked is done, and nobody is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from app.embedded.port import LOOPBACK


class LossyProxy(ThreadingTCPServer):
    """Carries bytes both ways; while `losing`, an answer ends its connection in its place."""

    def __init__(self, url: str) -> None:
        super().__init__((LOOPBACK, 0), _Carrier)
        parts = urlsplit(url)
        self.target = (parts.hostname or LOOPBACK, parts.port or 0)
        login = parts.netloc.rpartition("@")[0]
        address = f"{login}@{LOOPBACK}:{self.server_address[1]}"
        self.url = urlunsplit(parts._replace(netloc=address))
        self.losing = threading.Event()


class _Carrier(BaseRequestHandler):
    def handle(self) -> None:
        client, proxy = self.request, cast(LossyProxy, self.server)
        with socket.create_connection(proxy.target) as server:
            asking = threading.Thread(target=_carry, args=(client, server))
            asking.start()
            with suppress(OSError):
                while (data := server.recv(65_536)) and not proxy.losing.is_set():
                    client.sendall(data)
            for each in (client, server):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            asking.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def losing_answers(url: str) -> Iterator[LossyProxy]:
    """A proxy before the server at the URL, which loses nothing yet."""
    with LossyProxy(url) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
