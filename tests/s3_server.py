"""A real S3 server on the loopback, from a wheel: SeaweedFS."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from app.embedded.port import LOOPBACK, free_ports
from tests.polling import poll

WEED: Final = Path(sys.executable).with_name("weed")
READY_WITHIN_S: Final = 90.0
ROLES: Final = ("master", "volume", "filer", "s3")

READABLE: Final = "readable"  # the one bucket that READER has rights in
FORBIDDEN: Final = "forbidden"
READER: Final = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "read-in-tests"}


def endpoint_url(port: int) -> str:
    """Where a server on this port of the loopback is called."""
    return f"http://{LOOPBACK}:{port}"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server with the two buckets."""

    endpoint_url: str
    files_url: str  # the same contents as files, for whoever fills them

    def put(self, contents: Mapping[str, bytes], *, bucket: str = READABLE) -> None:
        """Stores the contents by key."""
        with httpx.Client() as client:
            for key, content in contents.items():
                path = f"{self.files_url}/buckets/{bucket}/{quote(key)}"
                client.put(path, content=content).raise_for_status()


@contextmanager
def running_s3(folder: Path, port: int) -> Iterator[S3Server]:
    """A server with its data in `folder`, which answers on `port` within the block."""
    others = free_ports(2 * len(ROLES) - 1)
    sockets = [Path(f"/tmp/seaweedfs-{role}-grpc-{p}.sock") for role in ROLES for p in others]  # noqa: S108
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            _command(folder, port, others),
            env={**os.environ, "GOMAXPROCS": "1", "GOMEMLIMIT": "256MiB"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = S3Server(endpoint_url(port), endpoint_url(others[2]))
    try:
        poll(
            lambda: process.poll() is not None or _takes(server),
            description="the S3 server answers, or has ended",
            within_s=READY_WITHIN_S,
        )
        assert process.poll() is None, (folder / "weed.log").read_text()[-2_000:]
        yield server
    finally:
        # It takes twenty seconds to leave its own cluster politely.
        process.kill()
        process.wait()
        for path in sockets:
            path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _command(folder: Path, port: int, others: list[int]) -> list[str]:
    http = [*others[: len(ROLES) - 1], port]
    grpc = others[len(ROLES) - 1 :]
    options = {
        "dir": str(folder),
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "64",
        "volume.max": "20",
        "volume.minFreeSpace": "1",
        "filer": "true",
        "filer.localSocket": str(folder / "filer.sock"),
        "s3": "true",
        "s3.localSocket": str(folder / "s3.sock"),
        "s3.config": str(_identities(folder)),
        "s3.iam": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
    }
    for role, number, grpc_number in zip(ROLES, http, grpc, strict=True):
        options |= {f"{role}.port": str(number), f"{role}.port.grpc": str(grpc_number)}
    return [str(WEED), "server", *(f"-{name}={value}" for name, value in options.items())]


def _identities(folder: Path) -> Path:
    path = folder / "identities.json"
    keys = {
        "accessKey": READER["AWS_ACCESS_KEY_ID"],
        "secretKey": READER["AWS_SECRET_ACCESS_KEY"],
    }
    reader = {"name": "reader", "credentials": [keys], "actions": [f"Read:{READABLE}"]}
    path.write_text(json.dumps({"identities": [reader]}))
    return path


def _takes(server: S3Server) -> bool:
    """Whether it answers as S3 and stores contents, which waits for its first volumes."""
    try:
        httpx.get(server.endpoint_url)
        for bucket in (READABLE, FORBIDDEN):
            server.put({"ready": b"yes"}, bucket=bucket)
    except httpx.HTTPError:
        return False
    return True
