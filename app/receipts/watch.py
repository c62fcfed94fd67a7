"""Those who watch receipts in an event loop, whoever changes them.

A change is heard of within milliseconds through Redis. Notices may be lost, and writes to many
tasks give none; so all that is watched is looked at every two seconds too, in one read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, Self

import structlog
from pymongo.errors import PyMongoError
from starlette.concurrency import run_in_threadpool

from app.database import Document
from app.errors import NotFoundError
from app.receipts.history import HistoryStore
from app.receipts.notice import Notices
from app.receipts.reading import Reading, ReceiptReader
from app.receipts.store import ReceiptStore
from app.receipts.topic import Topic
from app.settings import Settings

log = structlog.get_logger(__name__)

LOOK_S: Final = 2.0
# A place in the queue changes while the receipt does not.
PLACE_S: Final = 10.0


class Watch:
    """The watched tasks of this process. MongoDB and Redis may be away: then watchers wait."""

    def __init__(self, reader: ReceiptReader, histories: HistoryStore, notices: Notices) -> None:
        self._reader = reader
        self._histories = histories
        self._notices = notices
        self._topics: dict[str, Topic] = {}
        self._doubted: set[str] = set()
        self._has_doubts = asyncio.Event()
        self._reads: set[asyncio.Task[None] | asyncio.Task[Reading | None]] = set()
        self._is_leaving = False

    @classmethod
    def open(cls, settings: Settings, reader: ReceiptReader, receipts: ReceiptStore) -> Self:
        """Nobody watches yet, and nothing is sent before `running`."""
        return cls(reader, HistoryStore(receipts), Notices.open(settings))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watchers hear of changes within the block, and wait no longer at its end."""
        tasks = [
            asyncio.create_task(self._notices.run(self)),
            asyncio.create_task(self._look_again()),
        ]
        try:
            yield
        finally:
            self.leave()
            for task in (*tasks, *self._reads):
                task.cancel()
            await asyncio.gather(*tasks, *self._reads, return_exceptions=True)
            await self._notices.close()

    @property
    def watched(self) -> int:
        """How many tasks somebody watches."""
        return len(self._topics)

    def leave(self) -> None:
        """Lets go all who wait, now and from now on: the process is to stop."""
        self._is_leaving = True
        for topic in self._topics.values():
            topic.end()

    @contextmanager
    def on(self, reading: Reading) -> Iterator[Topic]:
        """The task, of which the caller has made this reading, watched within the block."""
        topic = self._topics.get(reading.task_id)
        if topic is None:
            topic = self._topics[reading.task_id] = Topic(reading)
            topic.is_over = self._is_leaving
            self._notices.add(reading.task_id)
        topic.take(reading)
        topic.watchers += 1
        try:
            yield topic
        finally:
            topic.watchers -= 1
            if not topic.watchers:
                self._forget(topic)

    async def hold(
        self, topic: Topic, until: Callable[[Reading], bool], *, within_s: float
    ) -> Reading:
        """The first reading that `until` is true of, or the last one within the time.

        `NotFoundError` where the receipt is past its retention meanwhile.
        """
        clock = asyncio.get_running_loop()
        reading, end_s = topic.reading, clock.time() + within_s
        while not until(reading) and not topic.is_over and (left_s := end_s - clock.time()) > 0:
            newer = await topic.after(reading.version, within_s=min(left_s, PLACE_S))
            newer = newer or await self._seen(topic)
            if newer is not None and newer.version >= reading.version:
                reading = newer
        return reading

    async def history(self, topic: Topic, *, within_s: float) -> Sequence[Document]:
        """The transitions that led to the topic's newest reading, and maybe later ones, in order.

        They are complete up to the version `told` of the topic: while MongoDB is away this waits
        for the last ones within the time, and a topic that is over may never have them.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not topic.is_over and not topic.is_told:
                    async with topic.reading_history:
                        if not topic.is_told and not await self._tell(topic):
                            await topic.after(topic.reading.version, within_s=LOOK_S)
        return topic.transitions

    def hear(self, task_id: str, version: int) -> None:
        """The receipt has reached this version: it is read unless that was done."""
        topic = self._topics.get(task_id)
        if topic is None or version <= topic.heard:
            return
        is_being_read = topic.heard > topic.reading.version
        topic.heard = version
        if not is_being_read:
            task = asyncio.create_task(self._catch_up(topic))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)

    def doubt(self, task_id: str) -> None:
        """The receipt is looked at soon."""
        self._doubted.add(task_id)
        self._has_doubts.set()

    async def _seen(self, topic: Topic) -> Reading | None:
        """A reading that was begun in the last two seconds, one for all who ask meanwhile; None
        while MongoDB is away.
        """
        now_s = asyncio.get_running_loop().time()
        if topic.sight is None or now_s - topic.sight_s > LOOK_S:
            topic.sight = asyncio.create_task(self._sight(topic))
            topic.sight_s = now_s
            self._reads.add(topic.sight)
            topic.sight.add_done_callback(self._reads.discard)
        return await asyncio.shield(topic.sight)

    async def _sight(self, topic: Topic) -> Reading | None:
        try:
            return await self._read(topic, at_least=topic.reading.version)
        except PyMongoError as exc:
            _log_blind(exc)
            return None

    async def _catch_up(self, topic: Topic) -> None:
        while (wanted := topic.heard) > topic.reading.version:
            try:
                reading = await self._read(topic, at_least=wanted)
            except NotFoundError:
                self._end(topic)
                return
            except PyMongoError as exc:
                _log_blind(exc)
                topic.heard = topic.reading.version  # the next look hears of it again
                return
            topic.take(reading)
            if reading.version < wanted:  # whoever said so was mistaken
                topic.heard = topic.reading.version

    async def _look_again(self) -> None:
        clock = asyncio.get_running_loop()
        due_s = clock.time() + LOOK_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._has_doubts.wait()
            self._has_doubts.clear()
            task_ids = list(self._doubted)
            self._doubted.clear()
            if clock.time() >= due_s:
                task_ids = list(self._topics)
                due_s = clock.time() + LOOK_S
            if task_ids:
                await self._look(task_ids)

    async def _look(self, task_ids: Collection[str]) -> None:
        try:
            versions = await run_in_threadpool(self._histories.versions, task_ids)
        except PyMongoError as exc:
            _log_blind(exc)
            return
        for task_id in task_ids:
            if task_id in versions:
                self.hear(task_id, versions[task_id])
            elif (topic := self._topics.get(task_id)) is not None:
                self._end(topic)

    async def _tell(self, topic: Topic) -> bool:
        known, up_to = len(topic.transitions), topic.reading.version
        try:
            chapter = await run_in_threadpool(self._histories.after, topic.task_id, known)
        except PyMongoError as exc:
            _log_blind(exc)
            return False
        if chapter is None:
            self._end(topic)
            return False
        topic.tell(chapter, up_to=up_to)
        self.hear(topic.task_id, chapter.version)
        return True

    async def _read(self, topic: Topic, *, at_least: int) -> Reading:
        return await self._reader.read(
            topic.task_id, namespace_id=topic.reading.namespace_id, at_least=at_least
        )

    def _end(self, topic: Topic) -> None:
        topic.end()
        self._forget(topic)

    def _forget(self, topic: Topic) -> None:
        if self._topics.get(topic.task_id) is topic:
            del self._topics[topic.task_id]
            self._notices.drop(topic.task_id)


def _log_blind(exc: PyMongoError) -> None:
    log.warning("watch.look_failed", error=type(exc).__name__)
