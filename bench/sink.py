"""A receiver of webhooks in a process of its own, which answers after a moment and counts."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from aiohttp import web

from app.deliveries.signature import ID
from app.embedded.port import LOOPBACK, free_ports

LATENCY_S: Final = 0.05
HANG_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sink:
    """`/fine/…` answers 204 after 50 ms, `/hangs/…` after a minute, and `/shaky/…` answers every
    third request with 500.
    """

    port: int
    _requests: Connection

    def url(self, path: str) -> str:
        return f"http://{LOOPBACK}:{self.port}{path}"

    def counts(self) -> dict[tuple[str, str], list[float]]:
        """When each path got each event, by Unix time; what was counted is forgotten then."""
        self._requests.send(None)
        counts: dict[tuple[str, str], list[float]] = self._requests.recv()
        return counts


@contextmanager
def running_sink() -> Iterator[Sink]:
    """The sink answers within the block."""
    (port,) = free_ports(1)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(port, theirs))
    process.start()
    try:
        assert ours.recv() == "ready"
        yield Sink(port, ours)
    finally:
        process.terminate()
        process.join()


def _serve(port: int, requests: Connection) -> None:
    asyncio.run(_answer(port, requests))


async def _answer(port: int, requests: Connection) -> None:
    arrivals: dict[tuple[str, str], list[float]] = {}
    asked = Counter[str]()

    async def take(request: web.Request) -> web.Response:
        await request.read()
        path = request.path
        asked[path] += 1
        if path.startswith("/shaky/") and asked[path] % 3 == 0:
            return web.Response(status=500)
        await asyncio.sleep(HANG_S if path.startswith("/hangs/") else LATENCY_S)
        _note(arrivals, path, request.headers.get(ID, ""))
        return web.Response(status=204)

    def tell() -> None:
        requests.recv()
        requests.send(dict(arrivals))
        arrivals.clear()

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()
    asyncio.get_running_loop().add_reader(requests.fileno(), tell)
    requests.send("ready")
    await asyncio.Event().wait()


def _note(arrivals: dict[tuple[str, str], list[float]], path: str, event_id: str) -> None:
    arrivals.setdefault((path, event_id), []).append(time.time())
