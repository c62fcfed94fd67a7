"""The servers of one comparison, in a temporary folder, and the worker processes over them."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from psycopg import connect
from redis import Redis

from app.embedded import record
from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.port import free_ports
from app.embedded.postgres import Postgres
from app.embedded.program import Child, Program
from app.embedded.server import Server, running
from app.embedded.valkey import Valkey
from app.tracking.schema import apply_migrations
from tests.polling import poll
from tests.stack import clean_environment

ROOT: Final = Path(__file__).parents[2]
READY_WITHIN_S: Final = 90.0
STOP_WITHIN_S: Final = 30.0
LOG_TAIL_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Servers that answer; PostgreSQL only where runs are recorded."""

    layout: Layout
    mongo_url: str
    redis_url: str
    postgres_url: str | None

    def redis(self) -> Redis:
        """A client of the one Valkey; close it."""
        return Redis.from_url(self.redis_url)

    def servers(self) -> dict[str, psutil.Process]:
        """The server processes by role."""
        entries = record.read(self.layout.processes)
        return {entry.role: psutil.Process(entry.pid) for entry in entries}

    def program(self, role: str, argv: Sequence[str], env: Mapping[str, str]) -> Program:
        """A worker of a reference, which finds its modules in this repository."""
        environment = clean_environment({"PYTHONPATH": str(ROOT), **env})
        line = (sys.executable, *argv)
        return Program(role, line, environment, self.layout.run, self.layout.log(role))

    @contextmanager
    def worker(self, program: Program, *, prompt: str) -> Iterator[psutil.Process]:
        """The program within the block, from when it has logged the prompt; ended after it."""
        program.log.unlink(missing_ok=True)
        child = Child(program)
        try:
            poll(
                lambda: prompt in _logged(program) or child.exit_code() is not None,
                description=f"{program.role} logs '{prompt}'",
                within_s=READY_WITHIN_S,
            )
            if child.exit_code() is not None:
                raise AssertionError(f"{program.role}: {_logged(program)[-LOG_TAIL_CHARACTERS:]}")
            yield psutil.Process(child.pid)
            child.ask_to_end()
            poll(
                lambda: child.exit_code() is not None,
                description=f"{program.role} ends",
                within_s=STOP_WITHIN_S,
            )
        finally:
            child.kill()


@contextmanager
def open_place(*, with_runs: bool = False) -> Iterator[Place]:
    """MongoDB and Valkey as `waybill up` starts them, and PostgreSQL where runs are recorded."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
        layout = Layout(Path(folder) / "data")
        layout.make()
        # PostgreSQL runs under an account of its own where we are root.
        os.chmod(folder, 0o711)  # noqa: PTH101
        ports = free_ports(3)
        mongo, valkey = Mongo(layout, ports[0]), Valkey(layout, ports[1])
        postgres = Postgres(layout, ports[2]) if with_runs else None
        servers: list[Server] = [mongo, valkey, *([postgres] if postgres else [])]
        with running(layout, servers):
            if postgres:
                with connect(postgres.url) as connection:
                    apply_migrations(connection)
            yield Place(layout, mongo.url, valkey.url, postgres.url if postgres else None)


def _logged(program: Program) -> str:
    return program.log.read_text(errors="replace")
