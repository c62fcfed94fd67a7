"""SIGKILL of the dispatcher at every step from commit to completion."""

import os
import signal
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from random import randrange
from threading import Lock

from pymongo.database import Database

from app.database import Document, server_time
from app.events.outbox import OutboxStore
from tests.integration.deliveries import PostRoom, new_event, settings_for
from tests.integration.mortal_dispatcher import Mortal, mortal_dispatcher
from tests.receiver import Receiver, Reply, receiving

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
EVENTS = 1  # before each run
STEP = 4  # between commands at which runs die; where it begins is left to chance


class Scene:
    """Two webhooks that ask for everything, one of which fails now and then."""

    def __init__(self, room: PostRoom, receiver: Receiver) -> None:
        self.room, self.receiver = room, receiver
        self.webhooks = {path: room.webhook(receiver.url(path)) for path in ("/fine", "/fails")}
        receiver.reply("/fails", *[Reply(500), Reply(), Reply()] * 100)
        self.event_ids: list[str] = []

    def happen(self) -> None:
        """Events are stored as a commit stores them."""
        at = server_time(self.room.database)
        events = [new_event(at, None, number) for number in range(EVENTS)]
        OutboxStore(self.room.database).telling(lambda _: None, lambda _: events)
        self.event_ids += [event.event_id for event in events]

    def expire(self) -> None:
        """The leases of whoever died have run out."""
        late = {"$set": {"turn.expires_at": LONG_AGO}}
        self.room.database["mailboxes"].update_many({"turn": {"$exists": True}}, late)

    def kill_at_the_first_request(self, mortal: Mortal) -> None:
        """In the middle of a POST, before its answer."""
        pids: Queue[int] = Queue()
        first = Lock()

        def kill() -> None:
            if first.acquire(blocking=False):
                os.kill(pids.get(), signal.SIGKILL)

        self.receiver.on_request = kill
        pids.put(mortal.start())
        assert not mortal.end()
        self.receiver.on_request = lambda: None
        self.expire()

    def check(self) -> int:
        """All has arrived, and what arrived is in the log; counts attempts of unknown end."""
        unknown = 0
        for path, (webhook_id, secret) in self.webhooks.items():
            arrived = self.receiver.received(path)
            for each in arrived:
                each.verify(secret)
            counts = Counter(each.event_id for each in arrived)
            assert set(counts) == set(self.event_ids)
            bodies = {(each.event_id, each.body) for each in arrived}
            assert len(bodies) == len(self.event_ids)
            rows = {row["event_id"]: row for row in self.room.rows(webhook_id)}
            assert set(rows) == set(self.event_ids)
            for event_id, row in rows.items():
                assert row["status"] == "delivered"
                outcomes = [each["outcome"] for each in row["attempts"]]
                known = len(outcomes) - outcomes.count("unknown")
                assert known <= counts[event_id] <= len(outcomes)
                assert [each["number"] for each in row["attempts"]] == [
                    *range(1, len(outcomes) + 1)
                ]
                unknown += outcomes.count("unknown")
        return unknown


def test_every_event_arrives_and_every_attempt_is_logged_wherever_a_dispatcher_dies(
    database: Database[Document], mongo_url: str, redis_url: str, tmp_path: Path
) -> None:
    with receiving() as receiver:
        delays = {"webhook_retry_delays_s": ",".join("0" * 20)}
        settings = settings_for(database, mongo_url, redis_url, receiver.port, **delays)
        room = PostRoom.open(settings)
        scene = Scene(room, receiver)
        with closing(room.database.client), mortal_dispatcher(settings, tmp_path) as mortal:
            command, lives = randrange(STEP) + 1 - STEP, 0
            while not lives:
                command += STEP
                scene.happen()
                mortal.start(death_at=command)
                lives += mortal.end()
                scene.expire()
            for _ in range(3):
                scene.happen()
                scene.kill_at_the_first_request(mortal)
            mortal.start()
            assert mortal.end()
            assert command > 2 * STEP
            assert scene.check() >= 3
