"""Many events to many endpoints through restarts of Valkey and MongoDB, counted by event id.

`python -m bench.storm [events]` starts a stack of its own. A tenth of the endpoints answer every
third request with 500. An event that arrives more than once is explained where the log of its
delivery has an attempt more than one known success: one whose end could not be stored.
"""

import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pymongo import MongoClient

from app.database import Document, connect
from app.deliveries.post import Post
from app.embedded.port import LOOPBACK
from app.events.event import CacheScope, Event, Scope, Subject
from app.events.outbox import OutboxStore
from app.events.type import EventType
from app.identity import new_id
from app.settings import Settings
from app.webhooks.endpoint import Registration
from app.webhooks.secret import make_key
from bench.sink import Sink, running_sink
from tests.polling import poll
from tests.stack import Stack, running_stack

EVENTS: Final = 100_000
ENDPOINTS: Final = 100
SHAKY: Final = 10
PAGE: Final = 1_000
WITHIN_S: Final = 1_800.0


def main() -> None:
    """Prints what arrived."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with running_sink() as sink, tempfile.TemporaryDirectory(prefix="waybill-storm-") as folder:
        env = {
            "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": f"{LOOPBACK}/32",
            "WAYBILL_WEBHOOK_ALLOWED_PORTS": str(sink.port),
            "WAYBILL_WEBHOOK_RETRY_DELAYS_S": "0" + ",1" * 15,
        }
        with running_stack(Path(folder) / "data", workers=1, env=env) as stack:
            storm(stack, sink, count)


def storm(stack: Stack, sink: Sink, count: int) -> None:
    """Stores the events, restarts the servers, waits until all have been sent, and counts."""
    settings = Settings.model_validate(
        {
            "mongo_url": stack.mongo_url,
            "redis_url": stack.redis_url,
            "secret_key": (stack.data_dir / "secret_key").read_text().strip(),
        }
    )
    database = connect(settings, role="bench", wait_s=30, answer_s=30)
    namespaces = _register(Post.open(database, settings), sink)
    outbox, stored = OutboxStore(database), 0
    start_s = time.perf_counter()
    while stored < count:
        events = [_event(namespaces[n % ENDPOINTS]) for n in range(stored, stored + PAGE)]
        outbox.telling(lambda _: None, lambda _, events=events: events)  # type: ignore[misc]
        stored += len(events)
    arrivals = Counter[str]()
    for role in ("redis", "mongo", "webhook", "mongo", "redis"):
        _wait(sink, arrivals, len(arrivals) + count // 7)
        stack.kill(role)
        print(f"  {role} killed after {len(arrivals):,} events", flush=True)
    _wait(sink, arrivals, count)
    _report(database.client, settings, arrivals, stored, time.perf_counter() - start_s)


def _wait(sink: Sink, arrivals: Counter[str], count: int) -> None:
    def has_arrived() -> bool:
        for (_, event_id), times in sink.counts().items():
            arrivals[event_id] += len(times)
        return len(arrivals) >= count

    poll(has_arrived, description=f"{count} events arrive", within_s=WITHIN_S)


def _report(
    client: MongoClient[Document],
    settings: Settings,
    arrivals: Counter[str],
    count: int,
    seconds: float,
) -> None:
    deliveries = client[settings.mongo_database]["deliveries"]
    twice = {event_id: times for event_id, times in arrivals.items() if times > 1}
    rows = deliveries.find(
        {"event_id": {"$in": list(twice)}}, {"event_id": 1, "attempts.outcome": 1}
    )
    explained = sum(
        1
        for row in rows
        if sum(each["outcome"] in ("unknown", "delivered") for each in row["attempts"])
        >= twice[row["event_id"]]
    )
    unknown = deliveries.count_documents({"attempts.outcome": "unknown"})
    print(f"{count:,} events to {ENDPOINTS} endpoints in {seconds:,.0f} s")
    print(f"  arrived     {len(arrivals):10,}, missing {count - len(arrivals):,}")
    print(f"  duplicates  {len(twice):10,}, explained by attempts of unknown end {explained:,}")
    print(f"  attempts of unknown end {unknown:,}")


def _register(post: Post, sink: Sink) -> list[str]:
    """A webhook in a namespace of its own for each endpoint."""
    namespaces = [new_id("ns") for _ in range(ENDPOINTS)]
    for number, namespace_id in enumerate(namespaces):
        url = sink.url(f"/{'shaky' if number < SHAKY else 'fine'}/{number}")
        said = Registration(f"storm {number}", ["*"], url, {}, 15.0, True)
        post.webhooks.create(namespace_id, said, make_key(), by="bench")
    return namespaces


def _event(namespace_id: str) -> Event:
    return Event(
        new_id("evt"),
        EventType.OBJECT_CREATED,
        datetime.now(UTC),
        namespace_id,
        Subject("object", new_id("obj")),
        {},
        CacheScope(Scope.KEY, "obj_bench"),
    )


if __name__ == "__main__":
    main()
