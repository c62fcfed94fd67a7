"""Copies that are read together come to those who asked for them."""

import asyncio
from collections.abc import Awaitable, Callable

from redis import Redis as Servant
from redis.asyncio import Redis

from app.receipts.copy_reader import PER_READ, CopyReader
from app.receipts.ledger import Ledger
from tests.integration.receipts import new_task

Use = Callable[[CopyReader], Awaitable[None]]


def with_reader(redis_url: str, use: Use) -> None:
    async def run() -> None:
        async with Redis.from_url(redis_url) as redis:
            await use(CopyReader(redis))

    asyncio.run(run())


def test_everybody_gets_the_copy_that_they_asked_for(ledger: Ledger, redis_url: str) -> None:
    stored = ledger.receipts.create([new_task() for _ in range(2 * PER_READ + 1)])
    for receipt in stored:
        ledger.receipts.cache.put(receipt)
    ids = [receipt.task_id for receipt in stored]

    async def use(reader: CopyReader) -> None:
        copies = await asyncio.gather(*(reader.get(each) for each in [*ids, "tsk_none", ids[0]]))
        *found, nothing, again = copies
        assert nothing is None
        assert again == found[0]
        for task_id, copy in zip(ids, found, strict=True):
            assert copy is not None
            assert task_id.encode() in copy.body

    with_reader(redis_url, use)


def test_a_caller_that_goes_away_takes_no_answer_along(ledger: Ledger, redis_url: str) -> None:
    (stored,) = ledger.receipts.create([new_task()])
    ledger.receipts.cache.put(stored)

    async def use(reader: CopyReader) -> None:
        leaving = asyncio.create_task(reader.get(stored.task_id))
        staying = asyncio.create_task(reader.get(stored.task_id))
        await asyncio.sleep(0)  # both have asked
        leaving.cancel()
        assert await staying is not None
        assert leaving.cancelled()
        assert await reader.get(stored.task_id) is not None

    with_reader(redis_url, use)


def test_a_copy_that_nobody_can_read_is_not_believed_and_holds_nobody_up(
    ledger: Ledger, redis_url: str
) -> None:
    odd, whole = ledger.receipts.create([new_task(), new_task()])
    for receipt in (odd, whole):
        ledger.receipts.cache.put(receipt)
    with Servant.from_url(redis_url) as redis:
        redis.hset(f"waybill:task:{odd.task_id}", "status", "OF_A_LATER_VERSION")

    async def use(reader: CopyReader) -> None:
        asked = asyncio.gather(reader.get(odd.task_id), reader.get(whole.task_id))
        nothing, copy = await asyncio.wait_for(asked, timeout=20)
        assert nothing is None
        assert copy is not None
        assert copy.version == whole.version

    with_reader(redis_url, use)


def test_what_a_server_refuses_is_asked_of_it_no_more_for_a_moment(
    ledger: Ledger, redis_url: str
) -> None:
    first, second = ledger.receipts.create([new_task(), new_task()])
    ledger.receipts.cache.put(second)
    key = f"waybill:task:{first.task_id}"
    with Servant.from_url(redis_url) as redis:
        redis.set(key, "no hash", ex=60)

    async def use(reader: CopyReader) -> None:
        both = await asyncio.gather(reader.get(first.task_id), reader.get(second.task_id))
        assert list(both) == [None, None]
        assert await reader.get(second.task_id) is None

    with_reader(redis_url, use)
