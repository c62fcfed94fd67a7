"""Requests over keep-alive connections, from a process that costs little beside a server.

`drive` starts it as `python -m bench.http_load`. A client library would take more CPU than the
servers that are compared, so it writes the requests as they are and reads of an answer its status
and its length. uvloop runs it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, cast

import uvloop

WITHIN_S: Final = 60
HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """GETs of the paths in turn, `count` of them, `connections` at a time."""

    host: str
    port: int
    headers: dict[str, str]
    paths: Sequence[str]
    count: int
    connections: int


def drive(load: Load) -> float:
    """Requests a second. Raises where one was not answered with 200 and a body."""
    command = (sys.executable, "-m", "bench.http_load")
    text = json.dumps(asdict(load))
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    if done.returncode:
        raise AssertionError(done.stderr[-2_000:])
    return load.count / float(done.stdout)


class Turns:
    """The requests, as they are given out to connections, and those that are answered."""

    def __init__(self, load: Load) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
        head = f" HTTP/1.1\r\nHost: {load.host}\r\n{lines}\r\n"
        self._requests = [f"GET {path}{head}".encode() for path in load.paths]
        self._count = load.count
        self._given = 0
        self._answered = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next(self) -> bytes | None:
        """The next request, or None: all are given out."""
        if self._given == self._count:
            return None
        self._given += 1
        return self._requests[self._given % len(self._requests)]

    def answered(self) -> None:
        """One more was answered."""
        self._answered += 1
        if self._answered == self._count:
            self.over.set_result(None)

    def fail(self, reason: str) -> None:
        """Ends the run."""
        if not self.over.done():
            self.over.set_exception(AssertionError(reason))


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses of asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_bytes = self._buffer.find(HEAD_END) + len(HEAD_END)
        if head_bytes < len(HEAD_END):
            return None
        head = self._buffer[:head_bytes]
        at = head.find(LENGTH) + len(LENGTH)
        if at < len(LENGTH) or head[9:12] != b"200":
            return self._turns.fail(f"answered {self._buffer[:300]!r}")
        body_bytes = int(head[at : head.index(b"\r", at)])
        if len(self._buffer) >= head_bytes + body_bytes > head_bytes:
            self._buffer = b""
            self._turns.answered()
            self.send()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._turns.fail(f"a connection was closed: {exc}")

    def send(self) -> None:
        """Writes the next request, if there is one."""
        request = self._turns.next()
        if request is not None and self._transport is not None:
            self._transport.write(request)


async def run(load: Load) -> float:
    """The seconds from the first request to the last answer; connections are made before."""
    turns = Turns(load)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: turns.fail(str(context)))
    made = [
        await loop.create_connection(lambda: Connection(turns), load.host, load.port)
        for _ in range(load.connections)
    ]
    began_s = time.perf_counter()
    for _, connection in made:
        connection.send()
    await turns.over
    return time.perf_counter() - began_s


if __name__ == "__main__":
    print(uvloop.run(run(Load(**json.load(sys.stdin)))))
