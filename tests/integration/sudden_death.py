"""Workers of tests that die, by SIGKILL, at a certain command to MongoDB of a certain kind of task.

A token is a file in `$TEST_DEATHS/<task type>/` that says at which command, and whether the whole
worker goes or the one process. An attempt that begins takes one; if it ends alive, it puts it back.
"""

import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from celery import signals
from pymongo import monitoring

VARIABLE: Final = "TEST_DEATHS"
WAITING: Final = ".waiting"
TAKEN: Final = ".taken"
COMMANDS: Final = ".commands"


@dataclass(frozen=True, slots=True)
class Deaths:
    """The tokens of one kind of task, as the test sees them."""

    folder: Path

    @classmethod
    def of(cls, root: Path, task_type: str) -> "Deaths":
        folder = root / task_type
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def plan(self, command: int, *, whole_worker: bool) -> None:
        """One more death, at this command of an attempt, counted from 1."""
        token = self.folder / f"{secrets.token_hex(8)}{WAITING}"
        draft = token.with_suffix(".draft")
        draft.write_text(f"{command} {'worker' if whole_worker else 'process'}")
        draft.rename(token)

    def left(self) -> int:
        """How many have not happened; while attempts run, some of them are on their way."""
        return len(list(self.folder.glob(f"*{WAITING}")))

    def happened(self) -> int:
        """How many were taken and not put back."""
        return len(list(self.folder.glob(f"*{TAKEN}")))

    def commands(self) -> int:
        """How many commands the longest attempt had that ended alive."""
        return max(int(each.name.split(".")[0]) for each in self.folder.glob(f"*{COMMANDS}"))


class _Victim(monitoring.CommandListener):
    """Counts the commands of the attempt that this process runs."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._token: Path | None = None
        self._count = 0
        self._last = 0
        self._whole_worker = False

    def begin(self, task_type: str) -> None:
        self._folder = Path(os.environ[VARIABLE]) / task_type
        self._count = 0
        for waiting in sorted(self._folder.glob(f"*{WAITING}")):
            token = waiting.with_suffix(TAKEN)
            try:
                waiting.rename(token)
            except FileNotFoundError:
                continue  # somebody else's
            command, whole = token.read_text().split()
            self._last, self._whole_worker = int(command), whole == "worker"
            self._token = token
            return

    def survive(self) -> None:
        if self._token is not None:
            self._token.rename(self._token.with_suffix(WAITING))
            self._token = None
        if self._folder is not None and self._folder.is_dir():
            (self._folder / f"{self._count}{COMMANDS}").touch()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self._count += 1
        if self._token is not None and self._count == self._last:
            if self._whole_worker:
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


def watch() -> None:
    """Has this process, and those forked from it, die as planned; before any client is made."""
    if VARIABLE not in os.environ:
        return
    victim = _Victim()
    monitoring.register(victim)

    @signals.task_prerun.connect(weak=False)
    def _begin(task: Any, **_: object) -> None:
        victim.begin(str(task.name))

    @signals.task_postrun.connect(weak=False)
    def _survive(**_: object) -> None:
        victim.survive()
