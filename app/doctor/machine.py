"""Settings, secrets, folders and code on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from app.doctor.finding import Finding, fail, ok, warn
from app.doctor.subject import Subject
from app.embedded import mongo, postgres, valkey
from app.errors import SettingsError
from app.settings import Settings
from app.tracking.spooling.drain import REFUSED

LITTLE_BYTES: Final = 2 * 1024**3
TOO_LITTLE_BYTES: Final = 200 * 1024**2
SHORTEST_KEY: Final = 24
IMPORT_WITHIN_S: Final = 30.0
IMPORT: Final = "import importlib, sys; importlib.import_module(sys.argv[1])"


def look_at_secrets(subject: Subject) -> list[Finding]:
    """Whether those that `waybill up` does not make are set."""
    if subject.is_up or subject.starts_servers:
        return [ok("secrets", "`waybill up` makes those that are not set")]
    return list(_secrets(subject.settings))


def look_at_folders(subject: Subject) -> list[Finding]:
    """The data folder, where there is to be one, the folders that file:// may read, the spool."""
    findings = [_folder("file_roots", root, _root) for root in subject.settings.file_roots]
    if subject.is_up or subject.starts_servers:
        findings.append(_folder("data_folder", subject.settings.data_dir, _data_folder))
    if subject.settings.postgres_url is not None:
        folder = subject.settings.spool_dir or subject.settings.data_dir / "spool"
        findings.append(_folder("spool", folder, _spool))
    return findings


def look_at_servers(subject: Subject) -> list[Finding]:
    """Whether the embedded servers run here that no setting replaces."""
    settings = subject.settings
    servers: list[tuple[str, str | None, Callable[[], Path]]] = [
        ("embedded.mongodb", settings.mongo_url, mongo.installed),
        ("embedded.redis", settings.redis_url, valkey.installed),
        ("embedded.postgres", settings.postgres_url, postgres.found),
    ]
    return [_server(check, find) for check, url, find in servers if not url]


def look_at_imports(subject: Subject) -> list[Finding]:
    """Whether workers will find the modules of WAYBILL_IMPORTS, each in a process of its own."""
    return [_import(module) for module in subject.settings.imports]


def _secrets(settings: Settings) -> Iterator[Finding]:
    if settings.api_key is None:
        yield warn(
            "secrets.api_key",
            "WAYBILL_API_KEY is not set: only keys made before are taken",
            "set it to sk_ and 32 random characters, for the API's process alone",
        )
    elif len(settings.api_key.get_secret_value()) < SHORTEST_KEY:
        yield warn(
            "secrets.api_key",
            "WAYBILL_API_KEY is short enough to be guessed",
            "set it to sk_ and 32 random characters",
        )
    else:
        yield ok("secrets.api_key", "WAYBILL_API_KEY is set")
    if settings.flower_password is None:
        yield warn(
            "secrets.flower_password",
            "WAYBILL_FLOWER_PASSWORD is not set: Flower without it shows all to everybody",
            "set it, and start Flower with FLOWER_BASIC_AUTH=user:password",
        )
    else:
        yield ok("secrets.flower_password", "WAYBILL_FLOWER_PASSWORD is set")


def _folder(check: str, folder: Path, look: Callable[[Path], Finding]) -> Finding:
    """What `look` finds, or why nobody can look there: a folder above is closed to us, say."""
    try:
        return look(folder)
    except OSError as exc:
        problem = f"{folder} cannot be reached ({exc.strerror})"
        return fail(check, problem, "let this user into the folders above it, or name another one")


def _root(root: Path) -> Finding:
    if not root.is_dir():
        return fail(
            "file_roots", f"{root} is no folder", "make it, or take it out of WAYBILL_FILE_ROOTS"
        )
    if not os.access(root, os.R_OK | os.X_OK):
        return fail("file_roots", f"{root} cannot be read", "let the workers' user read it")
    return ok("file_roots", f"{root} can be read")


def _spool(folder: Path) -> Finding:
    if not _is_writable(_there(folder)):
        return warn(
            "spool",
            f"{folder} cannot be written: workers that run here record no runs",
            "let their user write it, or name another one by WAYBILL_SPOOL_DIR",
        )
    if any(folder.expanduser().rglob(REFUSED)):
        return warn(
            "spool",
            f"{folder} has runs that PostgreSQL refused",
            f"read {REFUSED} and the workers' logs, then delete the file",
        )
    return ok("spool", f"{folder} can be written")


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    there = folder.expanduser()
    while not there.exists():
        there = there.parent
    return there


def _is_writable(there: Path) -> bool:
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _data_folder(folder: Path) -> Finding:
    there = _there(folder)
    if not _is_writable(there):
        return fail(
            "data_folder", f"{folder} cannot be written", "name another one by WAYBILL_DATA_DIR"
        )
    free_bytes = shutil.disk_usage(there).free
    detail = f"{folder} has {free_bytes / 1024**3:.1f} GiB free"
    if free_bytes < TOO_LITTLE_BYTES:
        return fail("data_folder", detail, "make room: MongoDB stops writing on a full disk")
    if free_bytes < LITTLE_BYTES:
        return warn("data_folder", detail, "make room before it is full")
    return ok("data_folder", detail)


def _server(check: str, find: Callable[[], Path]) -> Finding:
    try:
        find()
    except SettingsError as exc:
        problem, _, way_out = str(exc).partition(": ")
        return fail(check, problem, way_out)
    return ok(check, "`waybill up` starts one: its binary runs here")


def _import(module: str) -> Finding:
    command = [sys.executable, "-c", IMPORT, module]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=IMPORT_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return warn(
            "imports",
            f"{module} takes more than {IMPORT_WITHIN_S:g} s to import",
            "move what it does at import into its jobs",
        )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["it ends the process"])[-1]
        return fail(
            "imports",
            f"{module} cannot be imported ({reason})",
            "put it on the workers' PYTHONPATH, or take it out of WAYBILL_IMPORTS",
        )
    return ok("imports", f"{module} can be imported")
