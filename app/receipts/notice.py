"""What Redis tells of changed receipts, on one connection for all that a process watches.

A notice may be lost, and Redis may be away: whoever listens looks at MongoDB as well.
"""

import asyncio
from typing import Final, Protocol, Self

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.receipts.cache import CHANNEL_PREFIX
from app.receipts.copy_reader import AWAY
from app.receipts.pause import PAUSE_S
from app.settings import Settings, required

log = structlog.get_logger(__name__)

PING_S: Final = 2.0
# A connection that brings not even the answer to a ping is dead or frozen.
SILENCE_S: Final = 5.0


class Listener(Protocol):
    """Who is told, in the event loop."""

    def hear(self, task_id: str, version: int) -> None:
        """The receipt has reached this version."""

    def doubt(self, task_id: str) -> None:
        """From now on changes are told; one may have been missed before."""


class Notices:
    """Subscribes to the tasks that are wanted, again after each loss of the connection."""

    def __init__(self, redis: Redis, *, silence_s: float = SILENCE_S) -> None:
        self._redis = redis
        self._silence_s = silence_s
        self._wanted: set[str] = set()
        self._turn = asyncio.Event()

    @classmethod
    def open(cls, settings: Settings, *, silence_s: float = SILENCE_S) -> Self:
        """Notices from the Redis of the copies; no connection is made before `run`."""
        redis: Redis = Redis.from_url(
            required(settings.redis_url, "redis_url"),
            # With one, redis-py sends within asyncio.wait_for, which may swallow a cancellation
            # on Python 3.11 (python/cpython#86296). Silence ends the connection.
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),  # a lost connection is begun anew, here
        )
        return cls(redis, silence_s=silence_s)

    def add(self, task_id: str) -> None:
        """Wants the task's changes from soon on."""
        self._wanted.add(task_id)
        self._turn.set()

    def drop(self, task_id: str) -> None:
        """Wants them no more."""
        self._wanted.discard(task_id)
        self._turn.set()

    async def run(self, listener: Listener) -> None:
        """Tells the listener until it is canceled."""
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._listen(pubsub, listener)
            except* (*AWAY, TimeoutError) as lost:
                reasons = sorted({type(each).__name__ for each in lost.exceptions})
                log.warning("watch.connection_lost", error=", ".join(reasons))
            await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        """Closes the connection."""
        await self._redis.aclose()

    async def _listen(self, pubsub: PubSub, listener: Listener) -> None:
        async with asyncio.timeout(self._silence_s):
            await pubsub.ping()  # connects
        async with asyncio.TaskGroup() as both:
            both.create_task(self._subscribe(pubsub))
            both.create_task(self._pass_on(pubsub, listener))

    async def _subscribe(self, pubsub: PubSub) -> None:
        subscribed: set[str] = set()
        while True:
            wanted = set(self._wanted)
            if added := wanted - subscribed:
                await pubsub.subscribe(*map(_channel, added))
            if dropped := subscribed - wanted:
                await pubsub.unsubscribe(*map(_channel, dropped))
            subscribed = wanted
            try:
                async with asyncio.timeout(PING_S):
                    await self._turn.wait()
            except TimeoutError:
                await pubsub.ping()
            self._turn.clear()

    async def _pass_on(self, pubsub: PubSub, listener: Listener) -> None:
        while True:
            message = await pubsub.get_message(timeout=self._silence_s)
            if message is None:
                raise TimeoutError("not even a ping was answered")
            match message["type"]:
                case "message":
                    listener.hear(_task_id(message["channel"]), int(message["data"]))
                case "subscribe":
                    listener.doubt(_task_id(message["channel"]))


def _channel(task_id: str) -> str:
    return CHANNEL_PREFIX + task_id


def _task_id(channel: bytes) -> str:
    return channel.decode().removeprefix(CHANNEL_PREFIX)
