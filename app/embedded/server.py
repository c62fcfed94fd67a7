"""What the servers of the embedded default have in common."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from app.embedded.layout import Layout
from app.embedded.program import Program, StartError
from app.embedded.supervisor import Supervisor

ANSWER_WITHIN_S: Final = 30.0  # recovery after a crash replays a journal
STOP_GRACE_S: Final = 20.0
PAUSE_S: Final = 0.02


class Server(Protocol):
    """One server, its data under the data folder, listening on the loopback only."""

    @property
    def role(self) -> str: ...

    @property
    def url(self) -> str:
        """What clients connect with, the password included."""

    def prepare(self) -> Program:
        """Makes what the first start needs and says what to run; safe to repeat."""

    def answers(self) -> bool:
        """Whether clients are served now; takes the next step towards it when they are not."""


def server_environment() -> Mapping[str, str]:
    """The servers get nothing of the caller's environment, which holds keys."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def start_all(servers: Iterable[Server], supervisor: Supervisor, check: Callable[[], None]) -> None:
    """Starts them side by side and returns when all answer; `check` raises to give up.

    `StartError` names the first that ends or is silent for too long; those started go on
    running, under the supervisor.
    """
    waiting = list(servers)
    logs = {}
    for server in waiting:
        program = server.prepare()
        logs[server.role] = program.log
        supervisor.start(program)
    deadline_s = time.monotonic() + ANSWER_WITHIN_S
    while waiting := [server for server in waiting if not server.answers()]:
        check()
        supervisor.require_all()
        if time.monotonic() > deadline_s:
            role = waiting[0].role
            raise StartError(
                f"{role} does not answer after {ANSWER_WITHIN_S:g} s; its log is {logs[role]}"
            )
        time.sleep(PAUSE_S)


@contextmanager
def running(layout: Layout, servers: Iterable[Server]) -> Iterator[None]:
    """The servers answer within the block and have ended after it, their data kept."""
    supervisor = Supervisor(layout.processes, say=lambda _: None)
    chosen = list(servers)
    try:
        start_all(chosen, supervisor, check=lambda: None)
        yield
    finally:
        supervisor.stop([server.role for server in chosen], grace_s=STOP_GRACE_S)
