"""The proxy carries what it should, and each of its faults is what it says."""

import gc
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from app.embedded.port import LOOPBACK, free_ports
from tests.chaos.link import Link, Way
from tests.chaos.proxy import Proxy
from tests.polling import poll

SOON_S = 10.0  # a deadline, not a measure
MORE_BYTES = 3_000_000  # more than any buffer on the way holds


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it gets."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def link(proxy: Proxy, echo_port: int) -> Link:
    return proxy.open("echo", echo_port)


def test_it_carries_data_both_ways(link: Link) -> None:
    with _client(link) as client:
        sender = threading.Thread(target=client.sendall, args=(b"x" * MORE_BYTES,))
        sender.start()
        assert _read(client, MORE_BYTES) == b"x" * MORE_BYTES
        sender.join(SOON_S)


def test_the_end_of_one_side_reaches_the_other(link: Link) -> None:
    with _client(link) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        assert _read(client, 10) == b"last words"
        assert client.recv(1) == b""


def test_a_reset_is_an_error(link: Link) -> None:
    with _talking(link) as client:
        link.cut(reset=True)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_close_is_an_end(link: Link) -> None:
    with _talking(link) as client:
        link.cut(reset=False)
        assert client.recv(1) == b""


def test_after_a_cut_new_connections_are_made(link: Link) -> None:
    with _talking(link):
        link.cut(reset=True)
    with _talking(link):
        pass
    poll(lambda: link.connections == 0, description="all are closed", within_s=SOON_S)


@pytest.mark.parametrize("way", list(Way))
def test_a_hushed_connection_carries_nothing_and_stays_open(link: Link, way: Way) -> None:
    with _talking(link) as client:
        link.hush(way)
        with _talking(link):  # a new one is as ever, and what was said before has arrived
            pass
        client.sendall(b"anybody there?")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert link.connections >= 1
        client.settimeout(SOON_S)
        link.cut(reset=True)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_delay_holds_data_back_until_it_is_healed(link: Link) -> None:
    with _talking(link) as client:
        link.delay(0.2)
        client.sendall(b"slow")
        assert _read(client, 4) == b"slow"
        link.delay(3600.0)
        client.sendall(b"never")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
    link.delay(0.0)
    with _talking(link):
        pass


def test_without_a_server_behind_it_clients_are_turned_away(proxy: Proxy) -> None:
    link = proxy.open("nobody", free_ports(1)[0])
    with pytest.raises(ConnectionResetError), _client(link) as client:
        client.recv(1)


def test_closing_it_closes_everything(echo_port: int) -> None:
    proxy = Proxy()
    link = proxy.open("echo", echo_port)
    with _talking(link) as client:
        proxy.close()
        client.settimeout(SOON_S)
        assert _ended(client)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, link.port), SOON_S)


def test_closing_it_while_others_connect_leaves_no_socket_open(echo_port: int) -> None:
    for _ in range(3):
        proxy, closed = Proxy(), threading.Event()
        link = proxy.open("echo", echo_port)
        dialler = threading.Thread(target=_dial, args=(link, closed))
        dialler.start()
        poll(lambda link=link: link.connections, description="it is dialled", within_s=SOON_S)  # type: ignore[misc]
        proxy.close()
        closed.set()
        dialler.join()
    gc.collect()  # which warns of what is left open, and a warning is an error


def _dial(link: Link, closed: threading.Event) -> None:
    """Connects again and again, and leaves with the proxy."""
    while not closed.is_set():
        with suppress(OSError):
            _client(link).close()


def _client(link: Link) -> socket.socket:
    return socket.create_connection((LOOPBACK, link.port), SOON_S)


def _talking(link: Link) -> socket.socket:
    """A connection that has carried something already."""
    client = _client(link)
    client.sendall(b"hello")
    assert _read(client, 5) == b"hello"
    return client


def _ended(client: socket.socket) -> bool:
    """Whether the other side has closed, politely or not."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def _read(client: socket.socket, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = client.recv(left)
        assert part, f"the connection ended {left} bytes early"
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    linger = struct.pack("ii", 1, 0)
    with connection:
        try:
            while data := connection.recv(65_536):
                connection.sendall(data)
        except OSError:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
