"""A child process: what runs, and its life in a session of its own."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from app.errors import WaybillError

LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024  # a day's log of a busy worker; older lines in `.1`


class StartError(WaybillError):
    """Something does not come up; the sentence says what, and where its log is."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system that a program runs as."""

    uid: int
    gid: int


class RunAs(TypedDict):
    """The arguments of `subprocess` that change the user; None changes nothing."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


def run_as(account: Account | None) -> RunAs:
    """As this user, in its own group alone; as ourselves without one."""
    if account is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how it is asked to end; `env` is its whole environment."""

    role: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None


class Child:
    """A running program. Its session keeps a terminal's Ctrl-C away, and its group together."""

    def __init__(self, program: Program) -> None:
        """Starts it; `OSError` when the system cannot."""
        _rotate(program.log)
        with program.log.open("ab") as log:
            self._process = subprocess.Popen(
                program.argv,
                env=program.env,
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **run_as(program.account),
            )
        self.program = program

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; afterwards its code, and then nothing of its group lives on.

        The group is ended before the process is reaped: until then the system cannot give the
        number to a stranger.
        """
        if self._process.returncode is None:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self._kill_group()
        return self._process.wait()

    def ask_to_end(self) -> None:
        """Sends its stop signal to the process alone: a Celery worker tells its children itself."""
        if self.exit_code() is None:
            os.kill(self.pid, self.program.stop_signal)

    def kill(self) -> None:
        """Ends the whole group at once."""
        if self.exit_code() is None:
            self._kill_group()
            self._process.wait()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
