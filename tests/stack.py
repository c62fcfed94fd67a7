"""`waybill up` as a real process, for acceptance tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.embedded import record
from tests.polling import poll

WAYBILL: Final = str(Path(sys.executable).with_name("waybill"))
READY_WITHIN_S: Final = 90.0  # a little over the command's own deadline, whose sentence says more
STOP_WITHIN_S: Final = 45.0
RESTART_WITHIN_S: Final = 30.0
TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that answers: what its ready file says, and the process that runs it."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    api_url: str
    api_key: str
    flower_url: str
    flower_user: str
    flower_password: str
    redis_url: str
    mongo_url: str
    postgres_url: str

    def pids(self) -> dict[str, int]:
        """The process ids by role, as of now: the supervisor restarts what ends."""
        return {entry.role: entry.pid for entry in record.read(_processes(self.data_dir))}

    def pid(self, role: str) -> int:
        return self.pids()[role]

    def kill(self, role: str) -> None:
        """SIGKILL to the role's process; returns once another one runs in its place.

        That one may not answer yet.
        """
        old = self.pid(role)
        os.kill(old, signal.SIGKILL)
        poll(
            lambda: self.pids().get(role, old) != old,
            description=f"{role} runs again",
            within_s=RESTART_WITHIN_S,
        )

    def output(self) -> str:
        """What `waybill up` printed so far."""
        return _output(self.data_dir).read_text()


def up_command(data_dir: Path, *options: str) -> list[str]:
    return [WAYBILL, "up", "--data-dir", str(data_dir), *options]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of Waybill's, then the extra ones."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WAYBILL_")}
    return inherited | dict(extra or {})


@contextmanager
def running_stack(
    data_dir: Path, *, workers: int = 2, env: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """The stack answers within the block and gets SIGTERM after it, unless it has ended by then.

    `AssertionError` with the ends of its logs when it does not get ready.
    """
    data_dir.mkdir(mode=0o700, exist_ok=True)
    ready_file = data_dir / "ready.json"
    command = up_command(data_dir, "--workers", str(workers), "--ready-file", str(ready_file))
    ready_file.unlink(missing_ok=True)
    with _output(data_dir).open("wb") as output:
        process = subprocess.Popen(
            command,
            env=clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _await_ready(process, data_dir, ready_file)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(STOP_WITHIN_S)


def _await_ready(process: subprocess.Popen[bytes], data_dir: Path, ready_file: Path) -> Stack:
    poll(
        lambda: ready_file.exists() or process.poll() is not None,
        description="`waybill up` is ready or has given up",
        within_s=READY_WITHIN_S,
    )
    if process.poll() is not None:
        raise AssertionError(f"`waybill up` ended with {process.returncode}\n{_tails(data_dir)}")
    content = json.loads(ready_file.read_text())
    del content["pids"], content["data_dir"]
    return Stack(process=process, data_dir=data_dir, **content)


def _tails(data_dir: Path) -> str:
    files = [_output(data_dir), *sorted((data_dir / "logs").glob("*.log"))]
    return "\n".join(
        "\n".join([f"--- {file.name}", *file.read_text().splitlines()[-TAIL_LINES:]])
        for file in files
    )


def _processes(data_dir: Path) -> Path:
    return data_dir / "run" / "processes.json"


def _output(data_dir: Path) -> Path:
    return data_dir / "up.out"
