"""One process of the cluster, started again whenever it ends, as systemd would."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psutil

from app.embedded.program import Child, Program
from app.embedded.record import is_alive

RESTART_AFTER_S: Final = 0.5
STOP_WITHIN_S: Final = 15.0  # of a warm shutdown, after which systemd would end the group


@dataclass(slots=True)
class Orphans:
    """What a parent that died alone left behind; its own process is not reaped before them, so
    that nobody else gets its number."""

    parent: Child
    children: list[psutil.Process]
    since_s: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> list[psutil.Process]:
        return [child for child in self.children if is_alive(child)]


class Member:
    """A program under the supervision of one thread; `orphans` are its earlier runs' children."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.program = program
        self.orphans: list[Orphans] = []
        self.own_ends: list[int] = []  # exit codes of ends that no fault asked for
        self.slow_stops = 0  # warm shutdowns that had to be cut short
        self.orphan_lives_s: list[float] = []  # of those that have ended
        self._child: Child | None = None
        self._not_before_s = 0.0
        self._kill_at_s: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs, or None."""
        child = self._child
        return None if child is None or child.exit_code() is not None else child.pid

    def start(self) -> None:
        """Starts it."""
        self._child = Child(self.program)
        self._kill_at_s = None

    def tick(self) -> None:
        """Starts it again when it has ended and has waited long enough."""
        now_s = time.monotonic()
        if self._kill_at_s is not None and now_s > self._kill_at_s:
            self.slow_stops += 1
            self.kill(down_s=0.0)
        if self.pid is None:
            if self._child is not None:
                self._note_end(self._child)
                self._child = None
                self._not_before_s = max(self._not_before_s, now_s + RESTART_AFTER_S)
            elif now_s >= self._not_before_s:
                self.start()

    def kill(self, *, down_s: float) -> None:
        """SIGKILL to all its processes; it stays down for so long at least."""
        self._not_before_s = time.monotonic() + down_s
        self._kill_at_s = None
        if self._child is not None:
            self._child.kill()
            self._child = None

    def kill_parent(self, *, down_s: float) -> None:
        """SIGKILL to the first process alone; the others become orphans."""
        pid, child = self.pid, self._child
        if pid is None or child is None:
            return
        children = self.children()
        os.kill(pid, signal.SIGKILL)
        self.orphans.append(Orphans(child, children))
        self._child = None
        self._not_before_s = time.monotonic() + down_s

    def terminate(self, *, down_s: float) -> None:
        """Asks it to end, as a deployment does; what has not ended in time is killed."""
        if self._child is not None:
            self._child.ask_to_end()
            self._kill_at_s = time.monotonic() + STOP_WITHIN_S
            self._not_before_s = time.monotonic() + down_s

    def children(self) -> list[psutil.Process]:
        """The processes that it forked, in the order of their start."""
        if self.pid is None:
            return []
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid).children(recursive=True)
            return sorted(found, key=lambda child: (child.create_time(), child.pid))
        return []

    def processes(self) -> list[psutil.Process]:
        """All of its processes, the first one first."""
        pid = self.pid
        return [] if pid is None else [psutil.Process(pid), *self.children()]

    def bury(self) -> None:
        """Lets go of the orphans that have ended."""
        for orphans in list(self.orphans):
            if not orphans.alive:
                orphans.parent.exit_code()
                self.orphans.remove(orphans)
                self.orphan_lives_s.append(time.monotonic() - orphans.since_s)

    def end(self) -> None:
        """Ends it and its orphans at once, and does not start it again."""
        if self._child is not None:
            self._child.kill()
            self._child = None
        for orphans in self.orphans:
            orphans.parent.kill()
        self.orphans.clear()

    def _note_end(self, child: Child) -> None:
        code = child.exit_code()
        if code is not None and self._kill_at_s is None:
            self.own_ends.append(code)
        self._kill_at_s = None
