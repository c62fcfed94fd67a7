"""The 24 h copies of receipts in Redis: fast to read, never the truth, never needed.

Every key has a TTL. A copy carries its receipt's version and an older version never replaces a
newer one. A copy of a task that has not ended is believed for a few seconds only, so that a
refresh lost between MongoDB and Redis cannot mislead anybody for long; a terminal receipt never
changes, so its copy holds for the whole TTL.
"""

import json
from dataclasses import dataclass
from typing import Final, Self

import structlog
from redis import Redis, RedisError

from app.receipts.pause import Pause
from app.receipts.receipt import NO_PLACE, Place, Receipt

log = structlog.get_logger(__name__)

KEY_PREFIX: Final = "waybill:task:"

# Running tasks refresh their copy every second or so; a waiting one costs a read of MongoDB
# this often at most.
OPEN_COPY_TRUST_MS: Final = 3_000

# KEYS[1] the copy; ARGV version, namespace, terminal (0 or 1), body, TTL in ms. A read of
# MongoDB that is as new as the copy renews the trust in it.
_PUT: Final = """
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'namespace', ARGV[2],
           'terminal', ARGV[3], 'body', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """A receipt's JSON (UTF-8 bytes) as Redis holds it."""

    namespace_id: str
    version: int
    terminal: bool
    body: bytes

    @classmethod
    def from_reply(cls, fields: list[bytes | None], remaining_ms: int, ttl_ms: int) -> Self | None:
        """The copy in a reply to HMGET and PTTL, or None where there is none to believe."""
        namespace, version, terminal, body = fields
        if namespace is None or version is None or body is None:
            return None
        is_terminal = terminal == b"1"
        if not is_terminal and ttl_ms - remaining_ms > OPEN_COPY_TRUST_MS:
            return None
        return cls(namespace.decode(), int(version), is_terminal, body)


def render(receipt: Receipt, *, place: Place, from_mongodb: bool) -> bytes:
    """The JSON of an answer, as it is copied and as it is sent."""
    body = receipt.to_json(place)
    body["additional_data"] = {**receipt.additional_data_json, "from_mongodb": from_mongodb}
    return json.dumps(body, separators=(",", ":")).encode()


FIELDS: Final = ("namespace", "version", "terminal", "body")


class ReceiptCache:
    """Writes the copies. A Redis that does not answer is logged and otherwise ignored."""

    def __init__(self, redis: Redis, *, ttl_s: int) -> None:
        self._put = redis.register_script(_PUT)
        self._ttl_ms = ttl_s * 1000
        self._pause = Pause()

    def put(self, receipt: Receipt, *, place: Place = NO_PLACE) -> None:
        """Stores the copy unless a newer one is there; safe to repeat."""
        if self._pause.is_on:
            return
        arguments: list[bytes | str | int] = [
            receipt.version,
            receipt.namespace_id,
            int(receipt.is_terminal),
            render(receipt, place=place, from_mongodb=False),
            self._ttl_ms,
        ]
        try:
            self._put(keys=[KEY_PREFIX + receipt.task_id], args=arguments)
        except RedisError as exc:
            self._pause.begin()
            log.warning("receipt.copy_failed", task_id=receipt.task_id, error=type(exc).__name__)
