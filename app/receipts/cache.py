"""The 24 h copies of receipts in Redis: fast to read, never the truth, never needed.

Every key has a TTL. A copy carries its receipt's version and an older version never replaces a
newer one. A copy of a task that has not ended is believed for a few seconds only, so that a
refresh lost between MongoDB and Redis cannot mislead anybody for long; a terminal receipt never
changes, so its copy holds for the whole TTL.

A write is announced on the task's channel in the same round trip, for those who watch it; an
announcement may be lost.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import structlog
from redis import Redis, RedisError
from redis.exceptions import NoScriptError

from app.receipts.nudge import KEY as NUDGE_KEY
from app.receipts.nudge import TTL_MS as NUDGE_TTL_MS
from app.receipts.nudge import Nudge
from app.receipts.pause import Pause
from app.receipts.receipt import NO_PLACE, Place, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.tally import COUNT, KEY, NO_COUNTS, Counts, Tally, added_up, packed
from app.receipts.write_behind import WriteBehind, Written

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
# ms, by Redis's own clock, what COUNT takes, the channel that hears of a new version, status, and
# whether there is something to deliver: with 1 the key of the nudge, KEYS[3], is set, and whoever
# set it is answered 1 and sends the message.
# A read of MongoDB that is as new as the copy renews the trust in it. The copy is made even where
# the account may not publish.
_PUT: Final = f"""{COUNT}
local nudge = 0
if ARGV[11] == '1' and redis.call('SET', KEYS[3], 1, 'NX', 'PX', {NUDGE_TTL_MS}) then nudge = 1 end
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) > tonumber(ARGV[1]) then return nudge end
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[7]
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'namespace', ARGV[2], 'terminal', ARGV[3],
           'etag', ARGV[4], 'body', ARGV[5], 'until_ms', string.format('%.0f', until_ms),
           'status', ARGV[10])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[9] ~= '' and held ~= ARGV[1] then redis.pcall('PUBLISH', ARGV[9], ARGV[1]) end
return nudge
"""
_PUT_SHA: Final = hashlib.sha1(_PUT.encode(), usedforsecurity=False).hexdigest()
_Call = tuple[list[str], list[bytes | str | int]]


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


AT_ONCE: Final = 100  # copies: what they take in memory stays small where each is large
FIELDS: Final = ("namespace", "version", "etag", "status", "body", "until_ms")


class ReceiptCache:
    """Writes the copies. A Redis that does not answer is logged and otherwise ignored."""

    def __init__(
        self, redis: Redis, nudge: Nudge, *, ttl_s: int, writes_behind: bool = False
    ) -> None:
        """`writes_behind` is for processes that write all the time: `put` returns at once, and a
        thread writes what has come together.
        """
        self.nudge = nudge
        self.tally = Tally(redis)
        self._redis = redis
        self._ttl_ms = ttl_s * 1000
        self._pause = Pause()
        self._behind = WriteBehind(self.put_all) if writes_behind else None

    def put(self, receipt: Receipt, *, counts: Counts = NO_COUNTS, is_event: bool = False) -> None:
        """Stores the copy of what was written unless a newer one is there, announces it, adds the
        counts and, of an event, nudges the dispatcher; safe to repeat without counts.
        """
        written = Written(receipt, counts, is_event)
        if self._behind is None:
            self.put_all([written])
        else:
            self._behind.add(written)

    def put_all(self, written: Sequence[Written]) -> None:
        """The same of many, a hundred in one round trip as a rule."""
        for first in range(0, len(written), AT_ONCE):
            self._put_some(written[first : first + AT_ONCE])

    def _put_some(self, written: Sequence[Written]) -> None:
        if self._pause.is_on:
            return
        copies = [self._copy(each.receipt, NO_PLACE, is_new=True) for each in written]
        counts = added_up([each.counts for each in written])
        is_event = any(each.is_event for each in written)
        try:
            for copy in copies:
                if not copy.fits:
                    self._redis.publish(copy.channel, copy.version)
            fitting = [copy for copy in copies if copy.fits]
            if fitting:
                self._store(fitting, counts, is_event=is_event)
                return
            self.tally.add(counts)
            if is_event:
                self.nudge()
        except RedisError as exc:
            self._fail(exc, written[0].receipt.task_id)

    def refill(self, receipt: Receipt, *, place: Place) -> None:
        """Stores the copy of what was read unless a newer one is there."""
        copy = self._copy(receipt, place, is_new=False)
        if self._pause.is_on or not copy.fits:
            return
        try:
            self._store([copy], NO_COUNTS, is_event=False)
        except RedisError as exc:
            self._fail(exc, receipt.task_id)

    def flush(self) -> None:
        """Returns when what was put is written, or given up."""
        if self._behind is not None:
            self._behind.flush()

    def _store(self, copies: Sequence["_Copy"], counts: Counts, *, is_event: bool) -> None:
        """The first brings the counts, and the nudge."""
        first, *others = copies
        calls = [self._call(first, counts, is_event=is_event)]
        calls += [self._call(each, NO_COUNTS, is_event=False) for each in others]
        try:
            is_first = self._run(calls)
        except NoScriptError:  # a Redis that has begun anew
            self._redis.script_load(_PUT)
            is_first = self._run(calls)
        if is_first:
            self.nudge.send()

    def _run(self, calls: Sequence[_Call]) -> bool:
        """Whether one of the calls has set the nudge's key."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.evalsha(_PUT_SHA, len(keys), *keys, *arguments)
            return any(pipeline.execute())

    def _copy(self, receipt: Receipt, place: Place, *, is_new: bool) -> "_Copy":
        body = render(receipt, place=place, from_mongodb=False)
        return _Copy(receipt, etag_of(receipt, place), body, is_new)

    def _call(self, copy: "_Copy", counts: Counts, *, is_event: bool) -> _Call:
        """Keys and arguments of the script."""
        receipt = copy.receipt
        arguments: list[bytes | str | int] = [
            receipt.version,
            receipt.namespace_id,
            int(receipt.is_terminal),
            copy.etag,
            copy.body,
            self._ttl_ms,
            OPEN_COPY_TRUST_MS,
            packed(counts),
            copy.channel,
            receipt.status.value,
            int(is_event),
        ]
        return [KEY_PREFIX + receipt.task_id, KEY, NUDGE_KEY], arguments

    def _fail(self, error: RedisError, task_id: str) -> None:
        self._pause.begin()
        log.warning("receipt.copy_failed", task_id=task_id, error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What is to be stored of one receipt; `is_new` where its version is to be announced."""

    receipt: Receipt
    etag: str
    body: bytes
    is_new: bool

    @property
    def version(self) -> int:
        return self.receipt.version

    @property
    def channel(self) -> str:
        return CHANNEL_PREFIX + self.receipt.task_id if self.is_new else UNANNOUNCED

    @property
    def fits(self) -> bool:
        return len(self.body) <= MAX_COPY_BYTES
