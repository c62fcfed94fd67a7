"""Runs of the dispatcher, each in a process of its own that dies by SIGKILL where it is told to.

A process that has imported everything forks them: for each line on its standard input, the number
of the command to MongoDB at which the run dies (0: it lives), it prints the pid of a run, and how
that ended: 0 or the signal's number.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pymongo import monitoring

from app.database import connect
from app.receipts.ledger import Ledger
from app.settings import Settings
from workers.celery_app import app as celery
from workers.delivery.run import Runner
from workers.process import PATIENCE, WorkerProcess
from workers.webhooks import office

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mortal:
    """The process that forks runs."""

    process: subprocess.Popen[str]

    def start(self, death_at: int = 0) -> int:
        """The pid of a run that begins."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{death_at}\n")
        self.process.stdin.flush()
        return int(self._line())

    def end(self) -> bool:
        """Whether the run came to its own end, once it has."""
        status = int(self._line())
        assert status in (0, signal.SIGKILL), f"the run ended with {status}"
        return status == 0

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def mortal_dispatcher(settings: Settings, folder: Path) -> Iterator[Mortal]:
    """Runs can be started within the block."""
    config = folder / "settings.json"
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    values = settings.model_dump(mode="json", exclude_defaults=True) | {"secret_key": secret}
    config.write_text(json.dumps(values))
    command = [sys.executable, "-m", "tests.integration.mortal_dispatcher", str(config)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Mortal(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


class _Death(monitoring.CommandListener):
    """Comes at the command of this number."""

    def __init__(self, at: int) -> None:
        self._left = at

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


def _run(settings: Settings, death_at: int) -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a run logs is no answer
    monitoring.register(_Death(death_at))
    database = connect(settings, role="test", wait_s=5, answer_s=30)
    ledger = Ledger.open(settings, database, celery, patience=PATIENCE)
    worker = WorkerProcess.of(settings, database, ledger)
    Runner(replace(office(worker, celery), idle_s=0.0)).run(lambda: False)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(settings, int(line))
            os._exit(0)
        _say(pid)
        _, status = os.waitpid(pid, 0)
        _say(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
