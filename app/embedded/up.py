"""`waybill up`: starts what is missing, keeps it running, and leaves nothing behind."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from filelock import FileLock, Timeout

from app.embedded.layout import Layout, write_private
from app.embedded.plan import plan
from app.embedded.program import StartError
from app.embedded.readiness import await_ready
from app.embedded.record import end_leftovers
from app.embedded.role import ROLES, Stack, programs
from app.embedded.server import STOP_GRACE_S, start_all
from app.embedded.supervisor import Say, Supervisor
from app.errors import SettingsError
from app.settings import Settings

WORKER_GRACE_S: Final = 10.0  # short jobs come to their end; longer ones resume at a checkpoint
LOOK_EVERY_S: Final = 0.25


class StoppedError(Exception):
    """The stop was asked for before everything answered."""


@dataclass(frozen=True, slots=True)
class Up:
    """One run over one data folder."""

    layout: Layout
    settings: Settings
    workers: int
    ready_file: Path | None
    stop: Event
    say: Say

    def run(self, env: Mapping[str, str]) -> None:
        """Serves until `stop` is set; however it returns or raises, no process is left.

        `SettingsError` or `StartError` when it does not come up, or when another run holds the
        data folder.
        """
        with _writing():
            self.layout.make()
        with _sole_run(self.layout):
            self._clear_ready_file()
            left = end_leftovers(self.layout.processes, data_dir=self.layout.data_dir)
            if left:
                self.say(f"Ended what an earlier run, which was killed, left: {', '.join(left)}.")
            supervisor = Supervisor(self.layout.processes, say=self.say)
            try:
                stack = self._start(supervisor, env)
                self._look_after(supervisor, stack)
            except StoppedError:
                pass
            finally:
                self._stop(supervisor)

    def _clear_ready_file(self) -> None:
        """An old one would say "ready" too early; one that cannot be written is told at once."""
        if self.ready_file:
            with _writing():
                write_private(self.ready_file, "")
                self.ready_file.unlink()

    def _start(self, supervisor: Supervisor, env: Mapping[str, str]) -> Stack:
        servers, stack = plan(self.settings, self.layout, workers=self.workers)
        start_all(servers, supervisor, self._check_stop)
        for program in programs(stack, self.layout, env):
            supervisor.start(program)

        def check() -> None:
            self._check_stop()
            supervisor.require_all()

        await_ready(stack.api_url, stack.flower_url, check)
        return stack

    def _look_after(self, supervisor: Supervisor, stack: Stack) -> None:
        self._note_connection(stack)
        self._write_ready_file(stack, supervisor.pids())
        self.say(_welcome(stack, self.layout))
        while not self.stop.wait(LOOK_EVERY_S):
            if supervisor.tick():
                self._write_ready_file(stack, supervisor.pids())

    def _stop(self, supervisor: Supervisor) -> None:
        if self.stop.is_set():
            self.say("Stopping.")
        self.layout.connection.unlink(missing_ok=True)
        if self.ready_file:
            self.ready_file.unlink(missing_ok=True)
        supervisor.stop(ROLES, grace_s=WORKER_GRACE_S)
        supervisor.stop(tuple(supervisor.roles()), grace_s=STOP_GRACE_S)

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def _note_connection(self, stack: Stack) -> None:
        """So that `waybill tasks list` beside it needs no URL and no key."""
        note = {"api_url": stack.api_url, "api_key": stack.api_key}
        write_private(self.layout.connection, json.dumps(note))

    def _write_ready_file(self, stack: Stack, pids: Mapping[str, int]) -> None:
        if self.ready_file is None:
            return
        content = {
            "api_url": stack.api_url,
            "api_key": stack.api_key,
            "flower_url": stack.flower_url,
            "flower_user": stack.flower_user,
            "flower_password": stack.flower_password,
            "redis_url": stack.redis_url,
            "mongo_url": stack.mongo_url,
            "postgres_url": stack.postgres_url,
            "data_dir": str(self.layout.data_dir),
            "pids": dict(pids),
        }
        write_private(self.ready_file, json.dumps(content, indent=1))


@contextmanager
def _sole_run(layout: Layout) -> Iterator[None]:
    """Holds the data folder's lock, which the system lets go of when we die, however."""
    lock = FileLock(layout.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise StartError(
            f"another `waybill up` runs on {layout.data_dir}: stop it, or name another --data-dir"
        ) from exc
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise SettingsError(f"{exc.filename} cannot be written: {exc.strerror}") from exc


def _welcome(stack: Stack, layout: Layout) -> str:
    return (
        "Waybill is ready.\n"
        f"  API      {stack.api_url}  (documentation: {stack.api_url}/docs)\n"
        f"  API key  {stack.api_key}\n"
        f"  Flower   {stack.flower_url}  "
        f"(user {stack.flower_user}, password {stack.flower_password})\n"
        f"  Data     {layout.data_dir}  (logs: {layout.logs})\n"
        "Ctrl-C stops everything."
    )
