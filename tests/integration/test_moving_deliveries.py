"""Counts across stages miss no delivery that moves between them meanwhile.

MongoDB may go on between any two rows of a read with what was written since; here it does so after
each row, as it does by itself where a read is long or the machine is slow.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from pymongo.database import Database

from app.database import Document
from app.deliveries.delivery import Stage
from tests.integration.deliveries import PostRoom, settings_for

COUNTS: Final = 300
WAITING: Final = 30
YIELDING: Final = "internalQueryExecYieldIterations"


@pytest.fixture
def room(database: Database[Document], mongo_url: str, redis_url: str) -> Iterator[PostRoom]:
    """Its MongoDB lets others in after each row that it reads."""
    room = PostRoom.open(settings_for(database, mongo_url, redis_url, 1))
    admin = room.database.client.admin
    before = admin.command({"setParameter": 1, YIELDING: 1})["was"]
    yield room
    admin.command({"setParameter": 1, YIELDING: before})
    room.database.client.close()


def test_what_is_open_is_counted_whole(room: PostRoom) -> None:
    """An attempt begins and fails: the delivery is open all the time."""
    webhook_id, _ = room.webhook("https://example.org/")
    room.deliver(webhook_id, WAITING)
    rows = room.database["deliveries"]
    ids = [row["_id"] for row in rows.find()]
    stop = threading.Event()

    def move() -> int:
        """How many moves it made."""
        made = 0
        while not stop.is_set():
            for stage in (Stage.SENDING, Stage.PENDING):
                for delivery_id in ids:
                    change = {"$set": {"status": stage.value}}
                    made += rows.update_one({"_id": delivery_id}, change).modified_count
        return made

    with ThreadPoolExecutor(1) as pool:
        moves = pool.submit(move)
        try:
            for _ in range(COUNTS):
                assert room.post.log.counts(webhook_id) == {"open": WAITING, "exhausted": 0}
        finally:
            stop.set()
    assert moves.result() > COUNTS / 10  # both had their turns
