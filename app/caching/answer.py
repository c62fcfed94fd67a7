"""Answers about the documents of collections, kept in Redis for some seconds.

An answer is kept under what was asked and its collection's index version, which moves on with the
end of each task that wrote documents: whoever saw the task's end asks for the next version. Two
marks say what was dropped since, the namespace's and the collection's: an answer counts while both
are as they were before it was made, so dropping all of either is one write, and an answer that was
in the making then is not believed later. Every key has a TTL.
"""

import hashlib
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Self, cast

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.retry import Retry

from app.receipts.pause import Pause
from app.settings import Settings, required

log = structlog.get_logger(__name__)

ANSWER_PREFIX: Final = "waybill:answer:"
MARK_PREFIX: Final = "waybill:answer-mark:"
TIMEOUT_S: Final = 0.5  # making the answer takes less, as a rule
RETRIES: Final = 1  # Redis was restarted: the first connection of the pool is a dead one
# A large answer would take the broker's memory; it is made each time.
MAX_ANSWER_BYTES: Final = 256 * 1024
# A mark outlives every answer that was in the making when it was set.
MARK_OUTLIVES_S: Final = 60
_END_OF_MARKS: Final = b"\n"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a collection's documents; `text` is equal for equal answers only."""

    namespace_id: str
    collection_id: str
    index_version: int
    text: str

    @property
    def key(self) -> str:
        """Where the answer is."""
        digest = hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()
        return f"{ANSWER_PREFIX}{self.collection_id}:{self.index_version}:{digest}"

    @property
    def depends_on(self) -> tuple[str, str]:
        """The ids whose marks make the answer old."""
        return self.namespace_id, self.collection_id


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of an answer, and whether they were kept already."""

    body: bytes
    is_hit: bool


class AnswerCache:
    """Reads and keeps answers. A Redis that does not answer costs nothing but speed."""

    def __init__(self, redis: Redis, *, ttl_s: float) -> None:
        """With `ttl_s` 0 nothing is kept."""
        self._redis = redis
        self._ttl_ms = int(ttl_s * 1000)
        self._pause = Pause()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """A cache with a connection pool of its own; connects when it is first asked."""
        redis: Redis = Redis.from_url(
            required(settings.redis_url, "redis_url"),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), RETRIES, supported_errors=(Disconnected,)),
        )
        return cls(redis, ttl_s=settings.answer_cache_ttl_s)

    def answer(self, question: Question, make: Callable[[], bytes]) -> Answer:
        """The answer that is kept, or what `make` returns, which is kept then."""
        found = self._find(question)
        if found is None:
            return Answer(make(), is_hit=False)
        marks, held = found
        if held is not None:
            return Answer(held, is_hit=True)
        body = make()
        self._keep(question, marks, body)
        return Answer(body, is_hit=False)

    def drop(self, ids: Collection[str]) -> None:
        """Has nobody believe what was kept or begun about these namespaces and collections.

        Raises `RedisError`; safe to repeat.
        """
        ttl_ms = self._ttl_ms + MARK_OUTLIVES_S * 1000
        with self._redis.pipeline(transaction=False) as pipeline:
            for each in ids:
                pipeline.set(MARK_PREFIX + each, uuid.uuid4().hex, px=ttl_ms)
            pipeline.execute()

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()

    def _find(self, question: Question) -> tuple[bytes, bytes | None] | None:
        """The marks as they are, and the answer if they make none of it old; None: not to ask."""
        if self._ttl_ms == 0 or self._pause.is_on:
            return None
        keys = [MARK_PREFIX + each for each in question.depends_on]
        try:
            reply = cast(list[bytes | None], self._redis.mget([*keys, question.key]))
        except RedisError as exc:
            self._leave(exc)
            return None
        *marks, kept = reply
        now = b",".join(mark or b"" for mark in marks)
        then, _, body = (kept or b"").partition(_END_OF_MARKS)
        return now, body if kept is not None and then == now else None

    def _keep(self, question: Question, marks: bytes, body: bytes) -> None:
        if len(body) > MAX_ANSWER_BYTES:
            return
        try:
            self._redis.set(question.key, marks + _END_OF_MARKS + body, px=self._ttl_ms)
        except RedisError as exc:
            self._leave(exc)

    def _leave(self, error: RedisError) -> None:
        self._pause.begin()
        log.warning("answers.not_cached", error=type(error).__name__)
