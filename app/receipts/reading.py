"""The read that every poller makes: the copy in Redis first, the truth in MongoDB after."""

from dataclasses import dataclass
from typing import Final, Self

from redis.asyncio import Redis
from starlette.concurrency import run_in_threadpool

from app.errors import NotFoundError
from app.receipts.cache import etag_of, render
from app.receipts.copy_reader import CopyReader
from app.receipts.queue import QueueStore
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.settings import Settings, required

TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer: the task's JSON (UTF-8 bytes)."""

    task_id: str
    namespace_id: str
    body: bytes
    version: int
    etag: str
    status: TaskStatusEnum

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


class ReceiptReader:
    """Reads receipts from an event loop. Redis may be away: then it reads MongoDB."""

    def __init__(self, redis: Redis, receipts: ReceiptStore, queue: QueueStore) -> None:
        self._redis = redis
        self._receipts = receipts
        self._queue = queue
        self._copies = CopyReader(redis)

    @classmethod
    def open(cls, settings: Settings, receipts: ReceiptStore, queue: QueueStore) -> Self:
        """A reader with a connection pool of its own."""
        redis: Redis = Redis.from_url(
            required(settings.redis_url, "redis_url"),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
        return cls(redis, receipts, queue)

    async def read(self, task_id: str, *, namespace_id: str, at_least: int = 0) -> Reading:
        """The task, or `NotFoundError` for an id that is not in the namespace.

        A copy below the version `at_least` is not believed.
        """
        copy = await self._copies.get(task_id)
        if copy is None or copy.version < at_least:
            return await run_in_threadpool(self._truth, task_id, namespace_id)
        if copy.namespace_id != namespace_id:
            raise NotFoundError(f"There is no task '{task_id}'.")
        return Reading(task_id, namespace_id, copy.body, copy.version, copy.etag, copy.status)

    async def ping(self) -> None:
        """Returns when Redis answers; raises one of `copy_reader.AWAY` when it does not."""
        await self._redis.ping()

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    def _truth(self, task_id: str, namespace_id: str) -> Reading:
        receipt = self._receipts.get(task_id, namespace_id=namespace_id)
        place = self._queue.place(receipt)
        self._receipts.cache.refill(receipt, place=place)
        body = render(receipt, place=place, from_mongodb=True)
        etag = etag_of(receipt, place)
        return Reading(task_id, namespace_id, body, receipt.version, etag, receipt.status)
