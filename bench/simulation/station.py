"""What work waits for: cores, programs that run on them, and a journal that many share.

Times are simulated, in milliseconds. All queues are first come, first served; for a core, whoever
has used it for a slice of time queues again, as a system's scheduler has it.
"""

from collections.abc import Generator
from typing import Any, Final

from simpy import Environment, Event, Resource

SLICE_MS: Final = 1.0

Steps = Generator[Event, Any, None]


class Host:
    """Cores of one machine, which all bursts share alike.

    A `speed` below 1 makes bursts longer: what others take of the cores.
    """

    def __init__(self, env: Environment, cores: int, *, speed: float = 1.0) -> None:
        self.env = env
        self.cores = cores
        self.speed = speed
        self.busy_ms = 0.0
        self._turns = Resource(env, capacity=cores)

    def serve(self, burst_ms: float) -> Steps:
        """Ends once a core was free and has done the burst."""
        left_ms = burst_ms / self.speed
        while left_ms > 0:
            slice_ms = min(left_ms, SLICE_MS)
            with self._turns.request() as turn:
                yield turn
                yield self.env.timeout(slice_ms)
            self.busy_ms += slice_ms
            left_ms -= slice_ms

    @property
    def utilization(self) -> float:
        """The share of the cores' time so far in which they worked."""
        return self.busy_ms / (self.env.now * self.cores)


class Program:
    """A process that does one thing at a time, on a host that it may share."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._turn = Resource(host.env, capacity=1)

    def serve(self, burst_ms: float) -> Steps:
        """Ends once the program was free, then a core, and the burst is done."""
        with self._turn.request() as turn:
            yield turn
            yield from self._host.serve(burst_ms)


class Journal:
    """Group commit: one flush at a time, and all that come during one share the next."""

    def __init__(self, env: Environment, flush_ms: float) -> None:
        self._env = env
        self._flush_ms = flush_ms
        self._waiting: list[Event] = []
        self._is_flushing = False

    def commit(self) -> Steps:
        """Ends with the first flush that begins from now on."""
        done = self._env.event()
        self._waiting.append(done)
        if not self._is_flushing:
            self._is_flushing = True
            self._env.process(self._flush())
        yield done

    def _flush(self) -> Steps:
        while self._waiting:
            group, self._waiting = self._waiting, []
            yield self._env.timeout(self._flush_ms)
            for done in group:
                done.succeed()
        self._is_flushing = False
