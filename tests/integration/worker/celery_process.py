"""pytest-celery's containers as plain processes: no Docker, the same kills and restarts.

They do not call `CeleryTestContainer.__init__`, which would ask for a Docker container.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from pytest_celery import CeleryTestContainer, CeleryTestWorker

from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.program import Child, Program
from app.embedded.valkey import Valkey
from tests.polling import poll

READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 20.0

SIGKILL: Final = signal.SIGKILL
PAUSING: Final = frozenset({signal.SIGSTOP, signal.SIGCONT})


class ProcessContainer(CeleryTestContainer):  # type: ignore[misc] # untyped package
    """One process group that stands in for a container; it is killed as a whole, as they are."""

    def __init__(self, program: Program, *, prompt: str | None) -> None:
        self._program = program
        self._prompt = prompt
        self._child = self._start()

    @property
    def id(self) -> str:
        return str(self._child.pid)

    @property
    def name(self) -> str:
        return self._program.role

    @property
    def status(self) -> str:
        return "running" if self._child.exit_code() is None else "exited"

    @property
    def ready_prompt(self) -> str | None:
        return self._prompt

    def logs(self) -> str:
        """What the process has logged since its last start."""
        return self._program.log.read_text(errors="replace")

    def ready(self) -> bool:
        """Waits until it says that it is; `AssertionError` with its log's end if it ends."""
        poll(
            lambda: self._answers() or self.status != "running",
            description=f"{self.name} is ready",
            within_s=READY_WITHIN_S,
        )
        assert self.status == "running", self.logs()[-2000:]
        return True

    def reload(self) -> None:
        """Nothing is cached here."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Sends the signal as Docker does: what cannot be refused meets all of the processes.

        Any other meets the first one only. After SIGKILL all have ended.
        """
        number = _number(signal)
        if number == SIGKILL:
            self._child.kill()
            # A child that is late holds the broker's connection, and takes a message with it.
            poll(
                lambda: not _is_alive(self._child.pid),
                description=f"all processes of {self.name} have ended",
                within_s=STOP_WITHIN_S,
            )
        elif number in PAUSING:
            os.killpg(self._child.pid, number)
        else:
            os.kill(self._child.pid, number)

    def kill_first(self, number: signal.Signals) -> None:
        """Sends the signal to the first process alone, whatever it is: its children go on."""
        os.kill(self._child.pid, number)

    def says(self, text: str, *, within_s: float = READY_WITHIN_S) -> None:
        """Waits until it has logged the text."""
        poll(
            lambda: text in self.logs(),
            description=f"{self.name} logs '{text}'",
            within_s=within_s,
        )

    def ends(self, *, within_s: float = READY_WITHIN_S) -> None:
        """Waits until it has ended by itself."""
        poll(
            lambda: self.status == "exited",
            description=f"{self.name} ends",
            within_s=within_s,
        )

    def restart(self, timeout: float = STOP_WITHIN_S) -> None:
        """Ends it, with SIGTERM first, and starts it anew; it may not be ready yet."""
        self.stop(timeout)
        self._child = self._start()

    def stop(self, timeout: float = STOP_WITHIN_S) -> None:
        """SIGTERM, then SIGKILL to the group when it has not ended in time."""
        self._child.ask_to_end()
        try:
            poll(
                lambda: self.status != "running",
                description=f"{self.name} ends",
                within_s=timeout,
            )
        finally:
            self._child.kill()

    def teardown(self) -> None:
        """Ends it at once."""
        self._child.kill()

    def _answers(self) -> bool:
        return self._prompt is None or self._prompt in self.logs()

    def _start(self) -> Child:
        self._program.log.unlink(missing_ok=True)
        return Child(self._program)


def _is_alive(group: int) -> bool:
    """Whether any process of the group still runs; one that nobody has waited for does not."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            is_zombie = process.status() == psutil.STATUS_ZOMBIE
            if os.getpgid(process.pid) == group and not is_zombie:
                return True
    return False


def _number(name: str | int) -> signal.Signals:
    return signal.Signals[name] if isinstance(name, str) else signal.Signals(name)


class WorkerContainer(ProcessContainer):
    """A Celery worker, its prefork children included."""

    def __init__(self, program: Program, *, queue: str) -> None:
        super().__init__(program, prompt="ready.")
        self._queue = queue

    @classmethod
    def version(cls) -> str:
        return "installed"

    @classmethod
    def log_level(cls) -> str:
        return "INFO"

    def worker_name(self) -> str:
        return self.name

    def worker_queue(self) -> str:
        return self._queue


class ValkeyContainer(ProcessContainer):
    """The broker and the result backend."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._valkey = Valkey(layout, port)
        self._folder = layout.data_dir / "redis"
        super().__init__(self._valkey.prepare(), prompt=None)

    @property
    def url(self) -> str:
        return self._valkey.url

    @property
    def celeryconfig(self) -> dict[str, Any]:
        return {"url": self.url, "host_url": self.url}

    def lose_data(self) -> None:
        """Ends it and deletes what it stored; the next `restart` begins empty."""
        self.kill()
        for path in sorted(self._folder.rglob("*"), reverse=True):
            if path.name != "valkey.conf":
                path.rmdir() if path.is_dir() else path.unlink()

    def _answers(self) -> bool:
        return self._valkey.answers()


class MongoContainer(ProcessContainer):
    """A MongoDB of one test's own, which may be killed and started again over its data."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._mongo = Mongo(layout, port)
        super().__init__(self._mongo.prepare(), prompt=None)

    @property
    def url(self) -> str:
        return self._mongo.url

    def _answers(self) -> bool:
        return self._mongo.answers()


class TestWorker(CeleryTestWorker):  # type: ignore[misc] # untyped package
    """The node of one worker process."""

    __test__ = False

    def hostname(self) -> str:
        return f"{self.container.name}@{os.uname().nodename}"


def log_file(folder: Path, role: str) -> Path:
    """Where the role's process logs."""
    return folder / f"{role}.log"
