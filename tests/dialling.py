"""What a process dials, and names that resolve as a test wants them to."""

import socket
import sys
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """Answers each look-up of any name with the next of the lists, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Dialling:
    """The addresses that this process connects to at one port, while one is given."""

    def __init__(self) -> None:
        self.port: int | None = None
        self.addresses: list[str] = []
        # Audit hooks stay for ever; this is what CPython itself reports, whoever dials.
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.port is not None and event == "socket.connect":
            match arguments[1]:
                case (str(host), port, *_) if port == self.port:
                    self.addresses.append(host)


DIALLING = Dialling()
