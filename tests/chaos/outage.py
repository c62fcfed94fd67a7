"""Faults that a server is asked for; each says in a word why it was not done."""

import shutil
from pathlib import Path
from typing import Final

import redis
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from app.database import Document

COMMAND_TIMEOUT_S: Final = 1.0  # a server that is frozen must not hold the faults up


def flush(url: str) -> str:
    """Valkey forgets everything, and goes on."""
    try:
        with redis.Redis.from_url(url, socket_timeout=COMMAND_TIMEOUT_S) as client:
            client.flushall()
    except redis.RedisError as exc:
        return f"not done: {type(exc).__name__}"
    return ""


def forget(folder: Path) -> None:
    """A Valkey that does not run starts empty."""
    shutil.rmtree(folder / "appendonlydir", ignore_errors=True)


def step_down(url: str, *, for_s: float) -> str:
    """mongod takes no writes for so many seconds, one at least, and elects itself again."""
    wait_ms = int(COMMAND_TIMEOUT_S * 1000)
    try:
        with MongoClient[Document](
            url, serverSelectionTimeoutMS=wait_ms, socketTimeoutMS=wait_ms
        ) as client:
            client.admin.command("replSetStepDown", max(1, round(for_s)), force=True)
    except PyMongoError as exc:
        return f"not done: {type(exc).__name__}"
    return ""
