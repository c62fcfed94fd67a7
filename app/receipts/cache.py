"""The 24 h copies of receipts in Redis: fast to read, never the truth, never needed.

Every key has a TTL. A copy carries its receipt's version and an older version never replaces a
newer one. A copy of a task that has not ended is believed for a few seconds only, so that a
refresh lost between MongoDB and Redis cannot mislead anybody for long; a terminal receipt never
changes, so its copy holds for the whole TTL.

A write is announced on the task's channel in the same round trip, for those who watch it; an
announcement may be lost.
"""

import json
from dataclasses import dataclass
from typing import Final, Self

import structlog
from redis import Redis, RedisError

from app.receipts.pause import Pause
from app.receipts.receipt import NO_PLACE, Place, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.tally import COUNT, KEY, NO_COUNTS, Counts, Tally, packed

log = structlog.get_logger(__name__)

KEY_PREFIX: Final = "waybill:task:"
CHANNEL_PREFIX: Final = "waybill:watch:"
UNANNOUNCED: Final = ""

# Running tasks refresh their copy every second or so; a waiting one costs a read of MongoDB
# this often at most.
OPEN_COPY_TRUST_MS: Final = 3_000

# A large copy would take the broker's memory and time with each report; MongoDB serves it.
MAX_COPY_BYTES: Final = 256 * 1024

# KEYS[1] the copy; ARGV version, namespace, terminal (0 or 1), etag, body, TTL in ms, trust in
# ms, by Redis's own clock, what COUNT takes, the channel that hears of a new version, and status.
# A read of MongoDB that is as new as the copy renews the trust in it. The copy is made even where
# the account may not publish.
_PUT: Final = f"""{COUNT}
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[7]
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'namespace', ARGV[2], 'terminal', ARGV[3],
           'etag', ARGV[4], 'body', ARGV[5], 'until_ms', string.format('%.0f', until_ms),
           'status', ARGV[10])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[9] ~= '' and held ~= ARGV[1] then redis.pcall('PUBLISH', ARGV[9], ARGV[1]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """A receipt's JSON (UTF-8 bytes) as Redis holds it."""

    namespace_id: str
    version: int
    etag: str
    status: TaskStatusEnum
    body: bytes

    @classmethod
    def from_reply(cls, fields: list[bytes | None], now: tuple[int, int]) -> Self | None:
        """The copy in a reply to HMGET and TIME, or None where there is none to believe."""
        namespace, version, etag, status, body, until_ms = fields
        if namespace is None or version is None or etag is None:
            return None
        if status is None or body is None or until_ms is None:
            return None
        seconds, microseconds = now
        copied = TaskStatusEnum(status.decode())
        if copied not in TERMINAL and seconds * 1000 + microseconds // 1000 > int(until_ms):
            return None
        return cls(namespace.decode(), int(version), etag.decode(), copied, body)


def etag_of(receipt: Receipt, place: Place) -> str:
    """What changes whenever the answer does; a place changes while the receipt does not."""
    if place.position is None:
        return str(receipt.version)
    return f"{receipt.version}.{place.position}.{place.wait_minutes}"


def render(receipt: Receipt, *, place: Place, from_mongodb: bool) -> bytes:
    """The JSON of an answer, as it is copied and as it is sent."""
    body = receipt.to_json(place)
    body["additional_data"] = {**receipt.additional_data_json, "from_mongodb": from_mongodb}
    return json.dumps(body, separators=(",", ":")).encode()


FIELDS: Final = ("namespace", "version", "etag", "status", "body", "until_ms")


class ReceiptCache:
    """Writes the copies. A Redis that does not answer is logged and otherwise ignored."""

    def __init__(self, redis: Redis, *, ttl_s: int) -> None:
        self.tally = Tally(redis)
        self._redis = redis
        self._put = redis.register_script(_PUT)
        self._ttl_ms = ttl_s * 1000
        self._pause = Pause()

    def put(self, receipt: Receipt, *, counts: Counts = NO_COUNTS) -> None:
        """Stores the copy of what was written unless a newer one is there, announces it, and adds
        the counts; safe to repeat without these.
        """
        self._write(receipt, NO_PLACE, counts, CHANNEL_PREFIX + receipt.task_id)

    def refill(self, receipt: Receipt, *, place: Place) -> None:
        """Stores the copy of what was read unless a newer one is there."""
        self._write(receipt, place, NO_COUNTS, UNANNOUNCED)

    def _write(self, receipt: Receipt, place: Place, counts: Counts, channel: str) -> None:
        if self._pause.is_on:
            return
        body = render(receipt, place=place, from_mongodb=False)
        arguments: list[bytes | str | int] = [
            receipt.version,
            receipt.namespace_id,
            int(receipt.is_terminal),
            etag_of(receipt, place),
            body,
            self._ttl_ms,
            OPEN_COPY_TRUST_MS,
            packed(counts),
            channel,
            receipt.status.value,
        ]
        try:
            if len(body) <= MAX_COPY_BYTES:
                self._put(keys=[KEY_PREFIX + receipt.task_id, KEY], args=arguments)
                return
            self.tally.add(counts)
            if channel:
                self._redis.publish(channel, receipt.version)
        except RedisError as exc:
            self._pause.begin()
            log.warning("receipt.copy_failed", task_id=receipt.task_id, error=type(exc).__name__)
