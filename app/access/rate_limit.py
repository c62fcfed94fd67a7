"""Rate limits by key, counted in Redis so that all API processes count together.

The rule is GCRA (ITU-T I.371): a key may send its whole minute's worth at once, and gets requests
back evenly, one each 60/limit seconds. It takes one number for each key and one round trip; the
package `limits` takes two, one to count and one to learn what is left.
"""

from asyncio import Semaphore
from dataclasses import dataclass
from typing import Final, Self

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected

from app.receipts.copy_reader import AWAY
from app.receipts.pause import Pause
from app.settings import Settings, required

KEY_PREFIX: Final = "waybill:rate:"
TIMEOUT_S: Final = 1.0  # what the one request may lose that learns of a Redis that hangs
RETRIES: Final = 1  # Redis was restarted: the first connection of the pool is a dead one
# Far fewer than a pool has connections: where those run out, a burst would look like a Redis that
# is away, and would lift its own limit.
AT_ONCE: Final = 16
MICROSECOND: Final = 1e-6

# KEYS[1] the moment at which the key has all its requests back, in microseconds by Redis's clock;
# ARGV[1] requests a minute. Answers: whether it passes, how many more would at once, the
# microseconds until all are back, and those until one is.
_HIT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local period = 60000000
local step = math.floor(period / ARGV[1])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local owed = full_at + step - now
if owed > period then return {0, 0, full_at - now, owed - period} end
redis.call('SET', KEYS[1], string.format('%.0f', full_at + step), 'PX', math.ceil(owed / 1000))
return {1, math.floor((period - owed) / step), owed, 0}
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a request found left of its key's limit."""

    limit: int
    remaining: int
    is_allowed: bool
    full_after_s: float
    next_after_s: float


class RateLimiter:
    """Counts requests from an event loop. While Redis is away everything passes."""

    def __init__(self, redis: Redis, *, default_per_minute: int) -> None:
        self._redis = redis
        self._hit = redis.register_script(_HIT)
        self._default = default_per_minute
        self._pause = Pause()
        self._turns = Semaphore(AT_ONCE)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """A limiter with a connection pool of its own; connects when the first key has a limit."""
        redis: Redis = Redis.from_url(
            required(settings.redis_url, "redis_url"),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), RETRIES, supported_errors=(Disconnected,)),
        )
        return cls(redis, default_per_minute=settings.rate_limit_per_minute)

    async def hit(self, key_id: str, per_minute: int | None) -> Allowance | None:
        """Counts one request, unless none is left. None: the key has no limit, or Redis is away.

        `per_minute` None takes the default; 0 is no limit.
        """
        limit = self._default if per_minute is None else per_minute
        if limit == 0 or self._pause.is_on:
            return None
        async with self._turns:
            return await self._counted(key_id, limit)

    async def _counted(self, key_id: str, limit: int) -> Allowance | None:
        if self._pause.is_on:  # since the request that was before this one in the line
            return None
        try:
            reply = await self._hit(keys=[KEY_PREFIX + key_id], args=[limit])
        except AWAY as exc:
            self._pause.begin()
            log.warning("rate_limit.not_counted", error=type(exc).__name__)
            return None
        passes, remaining, full_us, next_us = reply
        return Allowance(
            limit, remaining, passes == 1, full_us * MICROSECOND, next_us * MICROSECOND
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()
