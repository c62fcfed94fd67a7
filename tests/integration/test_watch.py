"""Watchers hear of every change, whoever makes it, and whatever happens to Redis."""

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from redis import Redis

from app.database import Document
from app.embedded.port import LOOPBACK, free_ports
from app.embedded.server import running
from app.errors import NotFoundError
from app.receipts.cache import CHANNEL_PREFIX, KEY_PREFIX, MAX_COPY_BYTES
from app.receipts.ledger import Ledger
from app.receipts.notice import SILENCE_S, Notices
from app.receipts.progress import begin
from app.receipts.reading import Reading, ReceiptReader
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from app.receipts.transition import Move
from app.receipts.watch import Watch
from app.settings import Settings
from tests.integration.loop import Loop, beside
from tests.integration.receipts import COMPLETED, claim, create, opened, own_valkey
from tests.integration.test_receipt_cache import silent_server
from tests.polling import poll

T = TypeVar("T")

LONG_S = 60.0  # longer than any test waits for its answer
SUSPEND = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.SUSPENDED, actor="key:test")


@pytest.fixture
def loop() -> Iterator[Loop]:
    with beside() as loop:
        yield loop


@dataclass(frozen=True, slots=True)
class Process:
    """What an API process has to watch with."""

    loop: Loop
    reader: ReceiptReader
    watch: Watch

    def read(self, receipt: Receipt) -> Reading:
        reading = self.reader.read(receipt.task_id, namespace_id=receipt.namespace_id)
        return self.loop.run(reading)

    def hold(self, receipt: Receipt, *, within_s: float = LONG_S) -> "Future[Reading]":
        """The reading with another status than this one, to come; it is watched from now on."""
        return self.hold_until(receipt, lambda seen: seen.status != receipt.status, within_s)

    def hold_until(
        self, receipt: Receipt, is_news: Callable[[Reading], bool], within_s: float = LONG_S
    ) -> "Future[Reading]":
        reading, begun = self.read(receipt), Future[None]()

        async def held() -> Reading:
            with self.watch.on(reading) as topic:
                begun.set_result(None)
                return await self.watch.hold(topic, is_news, within_s=within_s)

        waiting = self.loop.begin(held())
        begun.result(LONG_S)
        return waiting


@contextmanager
def process(loop: Loop, ledger: Ledger, redis_url: str) -> Iterator[Process]:
    settings = Settings(redis_url=redis_url)
    reader = ReceiptReader.open(settings, ledger.receipts, ledger.queue)
    watch = Watch.open(settings, reader, ledger.receipts)
    with loop.within(watch.running()):
        yield Process(loop, reader, watch)
    loop.run(reader.close())


@dataclass(slots=True)
class Heard:
    """A listener that keeps what it is told."""

    versions: list[tuple[str, int]] = field(default_factory=list)
    doubted: list[str] = field(default_factory=list)

    def hear(self, task_id: str, version: int) -> None:
        self.versions.append((task_id, version))

    def doubt(self, task_id: str) -> None:
        self.doubted.append(task_id)


@contextmanager
def hearing(
    loop: Loop, redis_url: str, *, silence_s: float = SILENCE_S
) -> Iterator[tuple[Notices, Heard]]:
    notices = Notices.open(Settings(redis_url=redis_url), silence_s=silence_s)
    heard = Heard()

    async def close() -> None:
        notices_task.cancel()
        await asyncio.gather(notices_task, return_exceptions=True)
        await notices.close()

    async def start() -> "asyncio.Task[None]":
        return asyncio.create_task(notices.run(heard))

    notices_task = loop.run(start())
    try:
        yield notices, heard
    finally:
        loop.run(close())


def add(loop: Loop, notices: Notices, task_id: str) -> None:
    async def once() -> None:
        notices.add(task_id)

    loop.run(once())


def test_every_write_is_told_once_and_no_read_is(
    loop: Loop, ledger: Ledger, redis_url: str
) -> None:
    receipt, other = create(ledger), create(ledger)
    with hearing(loop, redis_url) as (notices, heard), Redis.from_url(redis_url) as redis:
        add(loop, notices, receipt.task_id)
        poll(lambda: heard.doubted, description="the subscription is confirmed", within_s=10)
        claimed, by = claim(ledger, receipt)
        claim(ledger, other)
        for done in range(3):
            ledger.receipts.report(receipt.task_id, by.token, begin(10 + done, claimed.created_at))
        with process(loop, ledger, redis_url) as reading:
            redis.delete(KEY_PREFIX + receipt.task_id)
            reading.read(receipt)  # fills the copy again
        large = Ending(TaskStatusEnum.COMPLETED, outputs=["x" * (MAX_COPY_BYTES + 1)])
        ended = ledger.receipts.finish(receipt.task_id, by.token, large, worker=by.worker)
        assert ended is not None
        last = (receipt.task_id, ended.version)
        poll(lambda: last in heard.versions, description="the end is heard of", within_s=10)
    versions = range(claimed.version, ended.version + 1)
    assert heard.versions == [(receipt.task_id, version) for version in versions]
    assert heard.doubted == [receipt.task_id]


def test_after_a_restart_of_redis_notices_come_again(
    loop: Loop, database: Database[Document], tmp_path: Path
) -> None:
    layout, valkey = own_valkey(tmp_path)
    with opened(database, valkey.url) as ledger:
        receipt = create(ledger)
        with hearing(loop, valkey.url) as (notices, heard):
            add(loop, notices, receipt.task_id)
            for number in (1, 2):
                with running(layout, [valkey]), Redis.from_url(valkey.url) as redis:
                    subscribed = [receipt.task_id] * number
                    poll_equal(heard.doubted, subscribed, "it is subscribed")
                    redis.publish(CHANNEL_PREFIX + receipt.task_id, number)
                    told = [(receipt.task_id, each) for each in range(1, number + 1)]
                    poll_equal(heard.versions, told, "the notice is heard")


def poll_equal(found: list[T], expected: list[T], description: str) -> None:
    poll(lambda: found == expected, description=description, within_s=30)


def test_a_connection_that_falls_silent_is_begun_anew(loop: Loop) -> None:
    with silent_server() as (url, connected), hearing(loop, url, silence_s=0.1):
        poll(lambda: len(connected) > 1, description="it was tried again", within_s=60)


def test_all_processes_hear_of_a_change(loop: Loop, ledger: Ledger, redis_url: str) -> None:
    receipt = create(ledger)
    with (
        process(loop, ledger, redis_url) as one,
        process(loop, ledger, redis_url) as other,
    ):
        held = [one.hold(receipt), one.hold(receipt), other.hold(receipt)]
        claim(ledger, receipt)
        for waiting in held:
            assert waiting.result(LONG_S / 2).status is TaskStatusEnum.PROCESSING
        assert (one.watch.watched, other.watch.watched) == (0, 0)


def test_a_change_without_a_notice_is_found(loop: Loop, ledger: Ledger, redis_url: str) -> None:
    receipt = create(ledger)
    with process(loop, ledger, redis_url) as here:
        held = here.hold(receipt)
        assert ledger.receipts.move_many(SUSPEND, sets={}, among={"_id": receipt.task_id}) == 1
        assert held.result(LONG_S / 2).status is TaskStatusEnum.SUSPENDED


def test_with_redis_away_frozen_or_killed_changes_are_found(
    loop: Loop, database: Database[Document], tmp_path: Path
) -> None:
    layout, valkey = own_valkey(tmp_path)
    with ExitStack() as stack, silent_server() as (silent_url, _):
        nowhere = f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"
        held: list[tuple[Receipt, Future[Reading]]] = []
        ledgers: list[Ledger] = []
        with running(layout, [valkey]):
            for url in (silent_url, nowhere, valkey.url):
                ledger = stack.enter_context(opened(database, nowhere))
                receipt = create(ledger)
                here = stack.enter_context(process(loop, ledger, url))
                held.append((receipt, here.hold(receipt)))
                ledgers.append(ledger)
        for ledger, (receipt, waiting) in zip(ledgers, held, strict=True):
            claim(ledger, receipt)
            assert waiting.result(LONG_S / 2).status is TaskStatusEnum.PROCESSING


class Finds(CommandListener):
    """Counts reads of MongoDB."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.count += event.command_name == "find"

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


def test_many_watchers_of_a_task_share_one_read(loop: Loop, ledger: Ledger, mongo_url: str) -> None:
    """Without Redis, so that each reading must come from MongoDB."""
    finds, nowhere = Finds(), f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"
    receipt = create(ledger)
    with MongoClient[Document](mongo_url, tz_aware=True, event_listeners=[finds]) as mongo:
        own = mongo[ledger.receipts.tasks.database.name]
        with opened(own, nowhere) as reading, process(loop, reading, nowhere) as here:
            seen = here.read(receipt)

            async def all_of(count: int) -> list[Reading]:
                async with AsyncExitStack() as watching:
                    topics = [watching.enter_context(here.watch.on(seen)) for _ in range(count)]
                    holds = [
                        here.watch.hold(
                            topic, lambda now: now.status is not seen.status, within_s=LONG_S
                        )
                        for topic in topics
                    ]
                    ready.set_result(None)
                    return await asyncio.gather(*holds)

            ready, before = Future[None](), finds.count
            held = loop.begin(all_of(1_000))
            ready.result(LONG_S)
            claim(ledger, receipt)
            readings = held.result(LONG_S)
    assert {each.status for each in readings} == {TaskStatusEnum.PROCESSING}
    assert 2 <= finds.count - before < 100


def test_waits_that_end_together_share_one_read(loop: Loop, ledger: Ledger, mongo_url: str) -> None:
    finds, nowhere = Finds(), f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"
    receipt = create(ledger)
    with MongoClient[Document](mongo_url, tz_aware=True, event_listeners=[finds]) as mongo:
        own = mongo[ledger.receipts.tasks.database.name]
        with opened(own, nowhere) as reading, process(loop, reading, nowhere) as here:
            seen = here.read(receipt)

            async def all_of(count: int) -> list[Reading]:
                with here.watch.on(seen) as topic:
                    holds = [
                        here.watch.hold(topic, lambda _: False, within_s=0.1) for _ in range(count)
                    ]
                    return await asyncio.gather(*holds)

            before = finds.count
            readings = loop.run(all_of(1_000))
    assert len(readings) == 1_000
    assert 1 <= finds.count - before < 100


def test_without_any_store_a_wait_ends_with_what_is_known(
    loop: Loop, ledger: Ledger, mongo_url: str
) -> None:
    nowhere = f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"
    receipt = create(ledger)
    with MongoClient[Document](mongo_url, tz_aware=True) as mongo:
        own = mongo[ledger.receipts.tasks.database.name]
        with opened(own, nowhere) as reading, process(loop, reading, nowhere) as here:
            held = here.hold(receipt, within_s=0.5)
            mongo.close()
            assert held.result(LONG_S).status is TaskStatusEnum.PENDING


def test_many_reads_at_once_are_served_by_redis(loop: Loop, ledger: Ledger, redis_url: str) -> None:
    claimed, by = claim(ledger, create(ledger))
    ledger.receipts.finish(claimed.task_id, by.token, COMPLETED, worker=by.worker)
    with process(loop, ledger, redis_url) as here:

        async def all_of(count: int) -> list[Reading]:
            read = partial(here.reader.read, claimed.task_id, namespace_id=claimed.namespace_id)
            return await asyncio.gather(*(read() for _ in range(count)))

        sources = [json.loads(each.body)["additional_data"] for each in loop.run(all_of(500))]
    assert [each["from_mongodb"] for each in sources] == [False] * 500


def test_a_hold_ends_with_its_time_or_with_the_process(
    loop: Loop, ledger: Ledger, redis_url: str
) -> None:
    receipt = create(ledger)
    with process(loop, ledger, redis_url) as here:
        assert here.hold(receipt, within_s=0.1).result(LONG_S).status is TaskStatusEnum.PENDING
        held = here.hold(receipt)

        async def leave() -> None:
            here.watch.leave()

        loop.run(leave())
        assert held.result(LONG_S / 2).status is TaskStatusEnum.PENDING
        assert here.hold(receipt).result(LONG_S / 2).status is TaskStatusEnum.PENDING


def test_a_receipt_past_its_retention_is_not_waited_for(
    loop: Loop, ledger: Ledger, redis_url: str
) -> None:
    receipt = create(ledger)
    with process(loop, ledger, redis_url) as here, Redis.from_url(redis_url) as redis:
        held = here.hold(receipt)
        redis.delete(KEY_PREFIX + receipt.task_id)
        ledger.receipts.tasks.delete_one({"_id": receipt.task_id})
        with pytest.raises(NotFoundError):
            held.result(LONG_S / 2)
        assert here.watch.watched == 0


def test_the_history_is_whole_however_much_was_missed(
    loop: Loop, ledger: Ledger, redis_url: str
) -> None:
    """Back in the status where it was, and no notice of what was between."""
    receipt = create(ledger)
    with process(loop, ledger, redis_url) as here:
        reading = here.read(receipt)

        async def seqs() -> list[int]:
            return [entry["seq"] for entry in await here.watch.history(topic, within_s=LONG_S)]

        async def after(version: int) -> Reading | None:
            return await topic.after(version, within_s=LONG_S)

        with here.watch.on(reading) as topic:
            assert loop.run(seqs()) == [1]
            among = {"_id": receipt.task_id}
            ledger.receipts.move_many(SUSPEND, sets={}, among=among)
            ledger.suspensions.resume(receipt.task_id, actor="key:test")
            now = loop.run(after(receipt.version + 1))
            assert now is not None
            assert now.status is TaskStatusEnum.PENDING
            assert loop.run(seqs()) == [1, 2, 3]
            claimed, by = claim(ledger, receipt)
            ledger.receipts.report(receipt.task_id, by.token, begin(1, claimed.created_at))
            ended = ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
            assert ended is not None
            loop.run(after(ended.version - 1))
            assert loop.run(seqs()) == [1, 2, 3, 4, 5]
