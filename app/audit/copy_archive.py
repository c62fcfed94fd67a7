"""What Redis holds, read in pages for a verification: copies of receipts, lengths of queues."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from redis import Redis, ResponseError

from app.audit.copy import FIELDS, NO_KEY, StoredCopy
from app.receipts.cache import KEY_PREFIX

# A copy may have a quarter of a megabyte.
COPIES_PER_READ: Final = 100
KEYS_PER_SCAN: Final = 1_000


class CopyArchive:
    """The copies and queues of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def pages(self) -> Iterator[list[StoredCopy]]:
        """All copies that stay while they are read; one may come twice."""
        keys = self._redis.scan_iter(match=f"{KEY_PREFIX}*", count=KEYS_PER_SCAN)
        while page := list(islice(keys, COPIES_PER_READ)):
            yield self._read(page)

    def depths(self, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait on each queue, as Celery's Redis transport keeps them."""
        return {queue: int(self._redis.llen(queue)) for queue in queues}

    def _read(self, keys: list[bytes]) -> list[StoredCopy]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, FIELDS)
                pipeline.pttl(key)
            replies = pipeline.execute(raise_on_error=False)
        found = []
        for key, fields, ttl_ms in zip(keys, replies[::2], replies[1::2], strict=True):
            task_id = key.decode().removeprefix(KEY_PREFIX)
            # A key of another kind answers with an error: a copy that cannot be read.
            said = [] if isinstance(fields, ResponseError) else fields
            found.append(StoredCopy.from_reply(task_id, said, ttl_ms))
        return [copy for copy in found if copy.ttl_ms != NO_KEY]
