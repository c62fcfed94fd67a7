"""What a system that runs jobs is to this bench."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import psutil


class System(Protocol):
    """One that is filled while no worker of it runs, and then drained by two processes."""

    @property
    def name(self) -> str: ...

    def fill(self, count: int) -> None:
        """Puts so many no-ops on an empty queue."""

    def worker(self) -> AbstractContextManager[psutil.Process]:
        """Its worker within the block: the parent of all its processes."""

    def waiting(self) -> int:
        """Messages on the queue."""

    def ended(self) -> Sequence[float]:
        """When each of the jobs ended whose result can be read, in seconds since the epoch.

        `AssertionError` where one ended wrong.
        """

    def clear(self) -> None:
        """Forgets all that was run."""
