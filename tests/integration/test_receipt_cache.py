"""Copies in Redis: never older, never for ever, never needed, and reads that use them."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.database import Document
from app.embedded.server import running
from app.errors import NotFoundError
from app.receipts.cache import KEY_PREFIX, MAX_COPY_BYTES, OPEN_COPY_TRUST_MS, ReceiptCache
from app.receipts.ledger import Ledger
from app.receipts.nudge import KEY as NUDGE_KEY
from app.receipts.nudge import Nudge
from app.receipts.progress import begin
from app.receipts.reading import Reading, ReceiptReader
from app.receipts.receipt import Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import Ending, ReceiptStore
from app.receipts.tally import Field, Measure, added
from app.receipts.write_behind import Written
from tests.integration.receipts import (
    COMPLETED,
    DAY_S,
    LEASE,
    at_once,
    claim,
    create,
    new_task,
    opened,
    own_valkey,
    sender,
    stored,
)
from tests.polling import poll

GONE = -2  # PTTL of a key that is not there; of one that never expires it is -1


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


def read(ledger: Ledger, url: str, task_id: str, *, namespace_id: str = "ns_test") -> Reading:
    async def once() -> Reading:
        redis = AsyncRedis.from_url(url)  # which is waited for, however slow
        reader = ReceiptReader(redis, ledger.receipts, ledger.queue)
        try:
            return await reader.read(task_id, namespace_id=namespace_id)
        finally:
            await reader.close()

    return asyncio.run(once())


def answer(ledger: Ledger, url: str, task_id: str) -> dict[str, Any]:
    reading = read(ledger, url, task_id)
    found: dict[str, Any] = json.loads(reading.body)
    assert reading.terminal == (found["status"] in TERMINAL)
    return found


def from_mongodb(found: dict[str, Any]) -> object:
    return found["additional_data"]["from_mongodb"]


def ended(ledger: Ledger, **changes: Any) -> Receipt:
    receipt, by = claim(ledger, create(ledger, **changes))
    done = ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    assert done is not None
    return done


def copy_version(redis: Redis, task_id: str) -> int:
    return int(redis.hget(KEY_PREFIX + task_id, "version") or 0)


def body(redis: Redis, task_id: str) -> dict[str, Any]:
    raw = redis.hget(KEY_PREFIX + task_id, "body")
    assert raw is not None
    found: dict[str, Any] = json.loads(raw)
    return found


def make_older(redis: Redis, task_id: str, age_ms: int) -> None:
    """As if the copy had been written earlier."""
    key = KEY_PREFIX + task_id
    assert redis.pexpire(key, DAY_S * 1000 - age_ms)
    until_ms = redis.hget(key, "until_ms")
    assert isinstance(until_ms, bytes)
    redis.hset(key, "until_ms", str(int(until_ms) - age_ms))


def test_every_committed_write_refreshes_the_copy(ledger: Ledger, redis: Redis) -> None:
    receipt = create(ledger)
    assert body(redis, receipt.task_id)["status"] == "PENDING"
    claimed, by = claim(ledger, receipt)
    assert body(redis, receipt.task_id)["status"] == "PROCESSING"
    ledger.receipts.report(receipt.task_id, by.token, begin(10, claimed.created_at))
    assert body(redis, receipt.task_id)["progress"]["total"] == 10
    ledger.cancellations.request(receipt.task_id, actor="key:ops", reason="dear")
    assert body(redis, receipt.task_id)["cancellation"]["reason"] == "dear"
    ending = Ending(TaskStatusEnum.CANCELED, outcome="stopped")
    ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)
    copy = body(redis, receipt.task_id)
    assert (copy["status"], copy["cancellation"]["outcome"]) == ("CANCELED", "stopped")
    assert copy_version(redis, receipt.task_id) == stored(ledger, receipt.task_id)["version"]


def test_every_key_of_ours_expires_within_a_day(
    ledger: Ledger, redis: Redis, redis_url: str
) -> None:
    made = [create(ledger), ended(ledger), claim(ledger, create(ledger))[0]]
    for receipt in made:
        read(ledger, redis_url, receipt.task_id)
    keys = list(redis.scan_iter("waybill:*"))
    assert {(KEY_PREFIX + receipt.task_id).encode() for receipt in made} <= set(keys)
    for key in keys:
        left_ms = redis.pttl(key)
        assert left_ms == GONE or 0 <= left_ms <= DAY_S * 1000, key  # some live for a moment only


def test_an_older_version_never_replaces_a_newer_one(ledger: Ledger, redis: Redis) -> None:
    receipt = create(ledger)
    ledger.cache.put(replace(receipt, version=10, error_message="new"))
    for version in (9, 1, 0):
        ledger.cache.put(replace(receipt, version=version, error_message="old"))
    assert copy_version(redis, receipt.task_id) == 10
    assert body(redis, receipt.task_id)["error_message"] == "new"


def test_an_older_version_renews_no_trust(ledger: Ledger, redis: Redis) -> None:
    receipt = create(ledger)
    ledger.cache.put(replace(receipt, version=10))
    make_older(redis, receipt.task_id, 60_000)
    ledger.cache.put(replace(receipt, version=9))
    assert redis.pttl(KEY_PREFIX + receipt.task_id) <= DAY_S * 1000 - 60_000


def test_thirty_two_writers_in_any_order_leave_the_newest(ledger: Ledger, redis: Redis) -> None:
    for seed in range(5):
        receipt = create(ledger)
        versions = list(range(2, 34))
        random.Random(seed).shuffle(versions)

        def put(index: int, receipt: Receipt = receipt, versions: list[int] = versions) -> None:
            version = versions[index]
            ledger.cache.put(replace(receipt, version=version, error_message=f"v{version}"))

        at_once(32, put)
        assert copy_version(redis, receipt.task_id) == 33
        assert body(redis, receipt.task_id)["error_message"] == "v33"


def test_many_are_stored_in_one_go_with_their_counts_and_one_nudge(
    ledger: Ledger, redis: Redis
) -> None:
    small = [create(ledger) for _ in range(3)]
    large = replace(create(ledger), outputs=["x" * MAX_COPY_BYTES])
    redis.delete(KEY_PREFIX + large.task_id, NUDGE_KEY)
    before = ledger.cache.tally.read()
    counts = added(Measure.MOVED, "TESTED", "test_many")
    fresh = [replace(receipt, version=7) for receipt in (*small, large)]
    ledger.cache.put_all([Written(receipt, counts, is_event=True) for receipt in fresh])
    assert [copy_version(redis, receipt.task_id) for receipt in small] == [7, 7, 7]
    assert not redis.exists(KEY_PREFIX + large.task_id)
    gained = Counter(ledger.cache.tally.read()) - Counter(before)
    assert gained == {Field(Measure.MOVED, "TESTED", "test_many"): 4}
    assert redis.exists(NUDGE_KEY)


def test_copies_that_are_written_behind_come_soon_and_at_the_latest_with_a_flush(
    ledger: Ledger, redis: Redis, redis_url: str
) -> None:
    behind = ReceiptCache(redis, Nudge(redis, sender(redis_url)), ttl_s=DAY_S, writes_behind=True)
    receipts = [create(ledger) for _ in range(20)]
    for version in (2, 3):
        for receipt in receipts:
            behind.put(replace(receipt, version=version))
    behind.flush()
    assert {copy_version(redis, receipt.task_id) for receipt in receipts} == {3}


def test_versions_are_compared_as_numbers(ledger: Ledger, redis: Redis) -> None:
    receipt = create(ledger)
    for version in (9, 10, 99, 100):
        ledger.cache.put(replace(receipt, version=version))
        assert copy_version(redis, receipt.task_id) == version


def test_a_terminal_copy_is_believed_for_its_whole_life(
    ledger: Ledger, redis: Redis, redis_url: str
) -> None:
    done = ended(ledger)
    make_older(redis, done.task_id, DAY_S * 1000 - 60_000)
    ledger.receipts.tasks.delete_one({"_id": done.task_id})
    found = answer(ledger, redis_url, done.task_id)
    assert (found["status"], from_mongodb(found)) == ("COMPLETED", False)


@pytest.mark.parametrize(("age_ms", "believed"), [(0, True), (OPEN_COPY_TRUST_MS + 1, False)])
def test_an_open_copy_is_believed_for_a_moment(
    ledger: Ledger, redis: Redis, redis_url: str, age_ms: int, believed: bool
) -> None:
    receipt = create(ledger)
    ledger.cache.put(replace(receipt, error_message="only in the copy"))
    make_older(redis, receipt.task_id, age_ms)
    found = answer(ledger, redis_url, receipt.task_id)
    assert from_mongodb(found) is not believed
    assert found["error_message"] == ("only in the copy" if believed else None)


def test_a_refresh_that_was_lost_misleads_nobody_for_long(
    ledger: Ledger, redis: Redis, redis_url: str
) -> None:
    """The end was committed, and its process died before it wrote the copy."""
    receipt, by = claim(ledger, create(ledger))
    held = redis.hgetall(KEY_PREFIX + receipt.task_id)
    ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    redis.hset(KEY_PREFIX + receipt.task_id, mapping=held)  # type: ignore[arg-type]
    make_older(redis, receipt.task_id, OPEN_COPY_TRUST_MS + 1)
    found = answer(ledger, redis_url, receipt.task_id)
    assert (found["status"], from_mongodb(found)) == ("COMPLETED", True)
    assert from_mongodb(answer(ledger, redis_url, receipt.task_id)) is False


def test_a_read_of_mongodb_refills_the_copy(ledger: Ledger, redis: Redis, redis_url: str) -> None:
    waiting, done = create(ledger), ended(ledger)
    redis.delete(KEY_PREFIX + waiting.task_id, KEY_PREFIX + done.task_id)
    for receipt in (waiting, done):
        truth = answer(ledger, redis_url, receipt.task_id)
        copy = answer(ledger, redis_url, receipt.task_id)
        assert (from_mongodb(truth), from_mongodb(copy)) == (True, False)
        del truth["additional_data"]["from_mongodb"], copy["additional_data"]["from_mongodb"]
        assert truth == copy


def test_a_flush_of_redis_loses_nothing(ledger: Ledger, redis: Redis, redis_url: str) -> None:
    receipts = [create(ledger), claim(ledger, create(ledger))[0], ended(ledger)]
    redis.flushall()
    redis.script_flush()
    for receipt in receipts:
        found = answer(ledger, redis_url, receipt.task_id)
        assert found["status"] == receipt.status
        assert from_mongodb(found) is True
        assert from_mongodb(answer(ledger, redis_url, receipt.task_id)) is False


def test_a_broken_copy_is_as_good_as_none(ledger: Ledger, redis: Redis, redis_url: str) -> None:
    done = ended(ledger)
    key = KEY_PREFIX + done.task_id
    redis.hdel(key, "body")
    assert from_mongodb(answer(ledger, redis_url, done.task_id)) is True
    redis.set(key, "not a hash at all")
    assert answer(ledger, redis_url, done.task_id)["status"] == "COMPLETED"
    redis.delete(key)  # it has no TTL


@pytest.mark.parametrize("copied", [True, False])
def test_another_namespace_finds_nothing_in_copy_or_truth(
    ledger: Ledger, redis: Redis, redis_url: str, copied: bool
) -> None:
    done = ended(ledger, namespace_id="ns_mine")
    if not copied:
        redis.delete(KEY_PREFIX + done.task_id)
    for theirs in ("ns_theirs", "", "ns_min", "NS_MINE"):
        with pytest.raises(NotFoundError) as refused:
            read(ledger, redis_url, done.task_id, namespace_id=theirs)
        assert "ns_mine" not in str(refused.value)
    assert read(ledger, redis_url, done.task_id, namespace_id="ns_mine").etag == str(done.version)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task_id=st.text(max_size=20))
def test_an_id_that_never_was_is_not_found(ledger: Ledger, redis_url: str, task_id: str) -> None:
    with pytest.raises(NotFoundError):
        read(ledger, redis_url, task_id)


def test_with_redis_down_writes_and_reads_go_on(
    database: Database[Document], tmp_path: Path
) -> None:
    layout, valkey = own_valkey(tmp_path)
    with opened(database, valkey.url) as ledger:
        with running(layout, [valkey]):
            before = create(ledger)
            assert from_mongodb(answer(ledger, valkey.url, before.task_id)) is False
        claimed, by = claim(ledger, before)
        while_down = create(ledger)
        for receipt, status in [(before, "PROCESSING"), (while_down, "PENDING")]:
            found = answer(ledger, valkey.url, receipt.task_id)
            assert (found["status"], from_mongodb(found)) == (status, True)
        ledger.receipts.finish(claimed.task_id, by.token, COMPLETED, worker=by.worker)
        with running(layout, [valkey]), Redis.from_url(valkey.url) as redis:
            # Its copy is from before it went down; the trust in that has passed or will.
            if redis.exists(KEY_PREFIX + before.task_id):
                make_older(redis, before.task_id, OPEN_COPY_TRUST_MS + 1)
            found = answer(ledger, valkey.url, before.task_id)
            assert (found["status"], from_mongodb(found)) == ("COMPLETED", True)
            poll(
                lambda: not from_mongodb(answer(ledger, valkey.url, before.task_id)),
                description="the copy is written and read again",
                within_s=10,
            )


@contextmanager
def silent_server() -> Iterator[tuple[str, list[object]]]:
    """Takes connections and never answers, as a frozen Redis does; lists who connected."""
    connected: list[object] = []

    class Silent(BaseRequestHandler):
        def handle(self) -> None:
            connected.append(self.client_address)
            while self.request.recv(4096):
                pass

    with ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0", connected
        finally:
            server.shutdown()
            thread.join()


def test_a_frozen_redis_is_not_waited_for_at_every_write(database: Database[Document]) -> None:
    """Else a bulk submission of a thousand waits for a thousand time-outs."""
    with silent_server() as (url, connected), Redis.from_url(url, socket_timeout=0.1) as redis:
        cache = ReceiptCache(redis, Nudge(redis, sender(url)), ttl_s=DAY_S)
        store = ReceiptStore(database, cache, lease=LEASE, retention=timedelta(days=1))
        receipts = store.create([new_task() for _ in range(30)])
        assert len(receipts) == 30
        assert database["tasks"].count_documents({}) == 30
        assert len(connected) < 15
