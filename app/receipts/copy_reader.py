"""Reads of the copies in Redis, many in one round trip.

What is asked for while a read is under way goes with the next one. A lone request waits for
nobody; under load the cost of a round trip, most of it the client's, is shared.
"""

import asyncio
from typing import Final

import structlog
from redis import RedisError
from redis.asyncio import Redis

from app.receipts.cache import FIELDS, KEY_PREFIX, Copy
from app.receipts.pause import Pause

log = structlog.get_logger(__name__)

PER_READ: Final = 64  # copies: 16 MiB where all of them are as large as they may be
# Of a connection that was cut, uvloop says "the handler is closed" in a RuntimeError, which
# redis-py lets through.
AWAY: Final = (RedisError, RuntimeError)

_Asked = tuple[str, asyncio.Future[Copy | None]]


class CopyReader:
    """Copies by task id. Redis may be away: then there are none, and it is left alone a while."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pause = Pause()
        self._asked: list[_Asked] = []
        self._reading: asyncio.Task[None] | None = None

    async def get(self, task_id: str) -> Copy | None:
        """The copy, or None where there is none to believe."""
        if self._pause.is_on:
            return None
        found: asyncio.Future[Copy | None] = asyncio.get_running_loop().create_future()
        self._asked.append((task_id, found))
        if self._reading is None:
            # A task of its own: a caller that goes away must not take the others' answers along.
            self._reading = asyncio.create_task(self._read_on())
        return await found

    async def _read_on(self) -> None:
        try:
            while self._asked:
                some, self._asked = self._asked[:PER_READ], self._asked[PER_READ:]
                try:
                    copies = await self._fetched([task_id for task_id, _ in some])
                except Exception as exc:  # noqa: BLE001
                    # Whoever asked hears of it; unanswered, they would wait for ever.
                    for _, found in some:
                        if not found.done():
                            found.set_exception(exc)
                    continue
                for (_, found), copy in zip(some, copies, strict=True):
                    if not found.done():  # its caller may have gone away
                        found.set_result(copy)
        finally:
            self._reading = None

    async def _fetched(self, task_ids: list[str]) -> list[Copy | None]:
        """In the order of the ids."""
        if self._pause.is_on:  # since the read before this one
            return [None] * len(task_ids)
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for task_id in task_ids:
                    pipeline.hmget(KEY_PREFIX + task_id, FIELDS)
                pipeline.time()
                *replies, now = await pipeline.execute()
        except AWAY as exc:
            self._pause.begin()
            log.warning("receipt.copies_unreadable", count=len(task_ids), error=type(exc).__name__)
            return [None] * len(task_ids)
        return [_copy(*each, now) for each in zip(task_ids, replies, strict=True)]


def _copy(task_id: str, reply: list[bytes | None], now: tuple[int, int]) -> Copy | None:
    try:
        return Copy.from_reply(reply, now)
    except ValueError as exc:  # of a later version of ours, as long as both run
        log.warning("receipt.copy_unknown", task_id=task_id, error=type(exc).__name__)
        return None
