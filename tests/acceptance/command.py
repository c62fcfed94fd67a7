"""The real `waybill` command, as a process of its own."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stack import WAYBILL, Stack, clean_environment
from waybill.types import JsonObject

ENDS_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[JsonObject]:
        """The JSON objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> JsonObject:
        """The only one."""
        (row,) = self.rows
        return row


@dataclass(frozen=True, slots=True)
class Command:
    """Runs commands against one server, in one namespace, with a state folder of its own."""

    environment: Mapping[str, str]
    folder: Path

    @classmethod
    def of(cls, stack: Stack, namespace: str, folder: Path) -> "Command":
        return cls(
            clean_environment(
                {
                    "WAYBILL_URL": stack.api_url,
                    "WAYBILL_API_KEY": stack.api_key,
                    "WAYBILL_NAMESPACE": namespace,
                    "XDG_STATE_HOME": str(folder / "state"),
                    "PATH": f"{Path(WAYBILL).parent}:/usr/bin:/bin",
                }
            ),
            folder,
        )

    def run(self, *arguments: str, **settings: str) -> Ran:
        """The command to its end, whatever that is."""
        done = subprocess.run(
            [WAYBILL, *arguments],
            env={**self.environment, **settings},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str) -> Ran:
        """The command, which must succeed."""
        ran = self.run(*arguments)
        assert ran.code == 0, ran.err
        return ran

    @contextmanager
    def running(self, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """The command under way; SIGKILL ends it with the block, unless it has ended by then."""
        process = subprocess.Popen(
            [WAYBILL, *arguments],
            env=dict(self.environment),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_ctrl_c,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def _hear_ctrl_c() -> None:
    """A shell that runs the tests in the background has its children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
