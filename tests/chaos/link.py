"""A link of the proxy: a listener that can be slow, cut, or dead without saying so."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from app.embedded.port import LOOPBACK

CHUNK_BYTES: Final = 64 * 1024
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close() sends RST


class Way(Enum):
    """A direction: towards the server, or towards the client."""

    UP = auto()
    DOWN = auto()


class _Connection:
    """One client's connection and the one behind it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)
        self.carrier = asyncio.current_task()
        self.open = {Way.UP: asyncio.Event(), Way.DOWN: asyncio.Event()}
        for gate in self.open.values():
            gate.set()

    def end(self, *, reset: bool) -> None:
        """Closes both sides at once, in the middle of whatever was being said."""
        for writer in self._writers:
            _end(writer, reset=reset)
        for gate in self.open.values():
            gate.set()  # whoever waits there finds the end


class Link:
    """One listener and the server behind it. Its methods may be called from any thread.

    New connections are made as ever: a fault meets those that are open when it comes, except
    that a delay meets all.
    """

    def __init__(self, name: str, target_port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.port = 0
        self._target_port = target_port
        self._loop = loop
        self._connections: set[_Connection] = set()
        self._delay_s = 0.0
        self._is_closed = False

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def delay(self, seconds: float) -> None:
        """From now on each piece of data is late by so many seconds; 0 heals."""
        self._delay_s = seconds

    def cut(self, *, reset: bool) -> None:
        """Ends the open connections, with RST or with FIN."""
        self._call(lambda: self._cut(reset=reset))

    def hush(self, way: Way) -> None:
        """The open connections carry nothing that way any more, and do not say so."""
        self._call(lambda: self._hush(way))

    async def serve(self) -> asyncio.Server:
        """Listens on a port of the system's choice."""
        server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def close(self) -> None:
        """Ends the open connections, and each that is just being made as soon as it is.

        To be called in the loop. Who cancelled the latter would leave their sockets to nobody.
        """
        self._is_closed = True
        for connection in self._connections:
            if connection.carrier is not None:
                connection.carrier.cancel()

    def _cut(self, *, reset: bool) -> None:
        for connection in list(self._connections):
            connection.end(reset=reset)

    def _hush(self, way: Way) -> None:
        for connection in self._connections:
            connection.open[way].clear()

    def _call(self, action: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(action)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind = await asyncio.open_connection(LOOPBACK, self._target_port)
        except OSError:
            _end(writer, reset=True)
            return
        connection = _Connection(writer, behind[1])
        if self._is_closed:
            connection.end(reset=True)
            return
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pump(reader, behind[1], connection.open[Way.UP]),
                self._pump(behind[0], writer, connection.open[Way.DOWN]),
            )
        except (OSError, asyncio.CancelledError):
            connection.end(reset=True)  # one side is gone: the other is to hear of it
        finally:
            self._connections.discard(connection)
            connection.end(reset=False)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await gate.wait()
            writer.write(data)
            await writer.drain()
        await gate.wait()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        # A socket that the other side has closed takes no options any more.
        with suppress(OSError):
            found: socket.socket = writer.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    else:
        writer.close()
