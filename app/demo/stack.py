"""`waybill up` in a process of its own, for as long as the demo runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.demo.terminal import console
from app.errors import UnavailableError
from waybill.cli.receiver import Receiver
from waybill.types import JsonObject

START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 60.0
LOOK_EVERY_S: Final = 0.1
GRACE_S: Final = "2"  # of a killed job, so that nobody waits long for the demo of it


@contextmanager
def running_stack(
    data_dir: Path, ready_file: Path, workers: int, receiver: Receiver
) -> Iterator[JsonObject]:
    """`waybill up` in a process of its own, stopped at the end as Ctrl-C would; its webhooks may
    call the receiver.
    """
    command = [sys.executable, "-m", "waybill", "up", "--data-dir", str(data_dir)]
    command += ["--workers", str(workers), "--ready-file", str(ready_file)]
    console.print("Starting MongoDB, Valkey, PostgreSQL, API, workers, Beat and Flower …")
    host, port = receiver.server_address[:2]
    environment = {
        "WAYBILL_KILL_GRACE_S": GRACE_S,
        "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": str(host),
        "WAYBILL_WEBHOOK_ALLOWED_PORTS": str(port),
        **os.environ,
    }
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        yield _await_ready(process, ready_file)
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _await_ready(process: "subprocess.Popen[bytes]", ready_file: Path) -> JsonObject:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise UnavailableError("`waybill up` did not start; it said why above.")
        if ready_file.exists():
            ready: JsonObject = json.loads(ready_file.read_text())
            return ready
        time.sleep(LOOK_EVERY_S)
    raise UnavailableError(f"`waybill up` was not ready within {START_TIMEOUT_S:g} s.")
