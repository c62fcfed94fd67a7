"""A TCP proxy on the loopback: a thread that carries links."""

import asyncio
import threading
from typing import Final

from tests.chaos.link import Link

ANSWER_WITHIN_S: Final = 10.0


class Proxy:
    """A thread that carries all links; closing it ends them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._links: list[Link] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    def open(self, name: str, target_port: int) -> Link:
        """A new link to a port of the loopback; `link.port` takes connections."""
        link = Link(name, target_port, self._loop)
        serving = asyncio.run_coroutine_threadsafe(link.serve(), self._loop)
        self._servers.append(serving.result(ANSWER_WITHIN_S))
        self._links.append(link)
        return link

    def close(self) -> None:
        """Ends every link and the thread."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(ANSWER_WITHIN_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_WITHIN_S)
        self._loop.close()

    async def _stop(self) -> None:
        for server in self._servers:
            for listener in server.sockets:
                self._loop.remove_reader(listener.fileno())  # takes no more connections
        for link in self._links:
            link.close()
        # What was just taken is carried by a task that another one is yet to make, and has no
        # place in a server that is closed: nobody would close its socket.
        while carried := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*carried, return_exceptions=True)
        for server in self._servers:
            server.close()
