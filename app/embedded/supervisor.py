"""Keeps programs running until it is told to stop."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.embedded import record
from app.embedded.program import Child, Program, StartError

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0  # who ran for this long starts again without the earlier delays
PAUSE_S: Final = 0.05

Say = Callable[[str], None]


def restart_delay_s(failures: int) -> float:
    """Seconds to wait after so many ends in a row (one or more), doubled with each."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))


@dataclass(slots=True)
class _Watched:
    child: Child
    started_at_s: float
    failures: int = 0
    restart_at_s: float | None = None


class Supervisor:
    """The children of one `waybill up`, written down at each change. For one thread."""

    def __init__(self, path: Path, *, say: Say, clock: Callable[[], float] = time.monotonic):
        self._path = path
        self._say = say
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    def start(self, program: Program) -> None:
        """Starts it; `StartError` when the system cannot."""
        try:
            child = Child(program)
        except OSError as exc:
            raise StartError(f"{program.role} cannot be started: {exc}") from exc
        self._watched[program.role] = _Watched(child, self._clock())
        self._write()

    def roles(self) -> list[str]:
        """All that it looks after, in the order of their start."""
        return list(self._watched)

    def pids(self) -> dict[str, int]:
        """Process ids by role, of those that run."""
        return {
            role: each.child.pid
            for role, each in self._watched.items()
            if each.child.exit_code() is None
        }

    def require_all(self) -> None:
        """`StartError` naming the first one that has ended, its exit code and its log."""
        for role, each in self._watched.items():
            code = each.child.exit_code()
            if code is not None:
                raise StartError(
                    f"{role} ended with exit code {code} while starting; "
                    f"its log is {each.child.program.log}"
                )

    def tick(self) -> bool:
        """Starts again what has ended and has waited long enough; True when a pid changed."""
        changed = [self._look_after(role, each) for role, each in self._watched.items()]
        if any(changed):
            self._write()
        return any(changed)

    def stop(self, roles: Collection[str], *, grace_s: float) -> None:
        """Asks these to end, kills what has not within the grace; none of them runs afterwards."""
        children = [self._watched.pop(role).child for role in roles if role in self._watched]
        for child in children:
            child.ask_to_end()
        deadline_s = self._clock() + grace_s
        while any(child.exit_code() is None for child in children) and self._clock() < deadline_s:
            time.sleep(PAUSE_S)
        for child in children:
            child.kill()
        self._write()

    def _look_after(self, role: str, each: _Watched) -> bool:
        code = each.child.exit_code()
        if code is None:
            return False
        now_s = self._clock()
        if each.restart_at_s is None:
            each.failures = 1 if now_s - each.started_at_s >= STEADY_AFTER_S else each.failures + 1
            self._put_off(each, now_s, f"{role} ended with exit code {code}")
            return True
        if now_s < each.restart_at_s:
            return False
        try:
            each.child = Child(each.child.program)
        except OSError as exc:
            each.failures += 1
            self._put_off(each, now_s, f"{role} cannot be started: {exc}")
            return False
        each.started_at_s, each.restart_at_s = now_s, None
        return True

    def _put_off(self, each: _Watched, now_s: float, what: str) -> None:
        delay_s = restart_delay_s(each.failures)
        each.restart_at_s = now_s + delay_s
        log = each.child.program.log
        self._say(f"{what}; it starts again in {delay_s:g} s (log: {log})")

    def _write(self) -> None:
        record.write(self._path, [each.child for each in self._watched.values()])
