"""taskiq: the broker and the result backend of its README for Redis, a coroutine as the job.

https://github.com/taskiq-python/taskiq-redis
"""

import asyncio
import time
from collections.abc import Sequence

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker
from taskiq_redis.exceptions import ResultIsMissingError

from bench.noop.beside.script import redis_url

backend: RedisAsyncResultBackend[float] = RedisAsyncResultBackend(redis_url())
broker = RedisStreamBroker(url=redis_url()).with_result_backend(backend)


@broker.task
async def noop() -> float:
    """Ends at once."""
    return time.time()


def fill(count: int) -> list[str]:
    return asyncio.run(_fill(count))


def ended(ids: Sequence[str]) -> list[float]:
    return asyncio.run(_ended(ids))


async def _fill(count: int) -> list[str]:
    await broker.startup()
    ids = [(await noop.kiq()).task_id for _ in range(count)]
    await broker.shutdown()
    return ids


async def _ended(ids: Sequence[str]) -> list[float]:
    ends = []
    for task_id in ids:
        try:
            found = await backend.get_result(task_id)
        except ResultIsMissingError:
            continue
        found.raise_for_error()
        ends.append(found.return_value)
    await backend.shutdown()
    return ends
