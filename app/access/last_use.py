"""When each key was last used: noted by every request, written apart from them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Final

import structlog
from anyio import to_thread
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app.database import Document

EVERY_S: Final = 60.0  # between writes: one for each key that was used, of each process

_log = structlog.stdlib.get_logger(__name__)


class LastUse:
    """The field `last_used_at` of `api_keys`, up to `EVERY_S` behind; safe for several threads."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["api_keys"]
        self._used: dict[str, datetime] = {}
        self._lock = Lock()

    def note(self, key_id: str) -> None:
        """The key was used just now; sends nothing."""
        now = datetime.now(UTC)
        with self._lock:
            self._used[key_id] = now

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Writes every `EVERY_S` within the block, and once at its end."""
        task = asyncio.create_task(self._write_on())
        try:
            yield
        finally:
            task.cancel()
            await to_thread.run_sync(self.write)

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await to_thread.run_sync(self.write)

    def write(self) -> None:
        """Stores what was noted since the last time. Where MongoDB is away, that much is lost."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        writes = [
            UpdateOne({"_id": key_id}, {"$max": {"last_used_at": at}})
            for key_id, at in used.items()
        ]
        try:
            self._keys.bulk_write(writes, ordered=False)
        except PyMongoError as exc:
            _log.warning("keys.last_use_lost", keys=len(writes), error=type(exc).__name__)
