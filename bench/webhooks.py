"""Deliveries a second, rows, attempts and signatures included, against a bare aiohttp loop.

Both send the same bodies to the same receiver, which answers after 50 ms from a process of its own,
with as many in flight and the same signature. Ours reads each row from MongoDB, and stores that its
attempt begins and how it ended; the loop stores nothing.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from app.database import Document, connect
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.mailbox import Ring
from app.deliveries.post import Post
from app.deliveries.signature import signed_headers
from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.port import LOOPBACK, free_ports
from app.embedded.server import running
from app.events.event import CacheScope, Event, Scope, Subject
from app.events.type import EventType
from app.identity import new_id
from app.settings import Settings
from app.webhooks.channel import Channel
from app.webhooks.endpoint import Registration
from app.webhooks.secret import make_key
from bench.rounds import Comparison, alternate
from bench.row import Row, at_least, within
from bench.sink import Sink, running_sink
from workers.delivery.address_book import StoredAddressBook
from workers.delivery.desk import Source
from workers.delivery.run import Office, Runner

DATABASE: Final = "waybill_bench_webhooks"
DELIVERIES: Final = 5_000
ENDPOINTS: Final = 25
IN_FLIGHT: Final = 100
BODY_BYTES: Final = 2_048

# The isolation case: so many events, a tenth of them to an endpoint that hangs.
ISOLATED: Final = 2_000
HEALTHY: Final = 18
HANGING: Final = "/hangs/0"
SLOTS: Final = 50
TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Isolation:
    """Seconds from the start until healthy endpoints had their events, while another hangs."""

    p50_s: float
    p99_s: float


def rows() -> list[Row]:
    """On a MongoDB of its own, and nothing else."""
    with _mongo() as mongo_url:
        rates, waits = compare(mongo_url), isolate(mongo_url)
    return [
        at_least(
            f"webhook deliveries, {IN_FLIGHT} in flight",
            rates,
            reach=0.7,
            unit="a second",
            against="bare aiohttp loop that signs and posts",
        ),
        within(
            f"{ISOLATED:,} events, a tenth of them to an endpoint that hangs: p99 of the others",
            waits.p99_s,
            reach=3,
            unit="s",
            note=f"p50 {waits.p50_s:.2f} s",
        ),
    ]


def compare(mongo_url: str) -> Comparison:
    """Deliveries a second, in a database of its own, which is dropped at the end."""
    paths = [f"/fine/{number}" for number in range(ENDPOINTS)]
    with (
        running_sink() as sink,
        _bench(mongo_url, sink, paths=paths, webhook_in_flight=IN_FLIGHT) as bench,
    ):
        return alternate(bench.deliver, bench.post)


def isolate(mongo_url: str) -> Isolation:
    """In a database of its own, which is dropped at the end."""
    paths = [*(f"/fine/{number}" for number in range(HEALTHY)), HANGING]
    limits = {"webhook_in_flight": SLOTS, "webhook_timeout_s": TIMEOUT_S}
    with (
        running_sink() as sink,
        _bench(mongo_url, sink, paths=paths, **limits) as bench,
    ):
        *healthy, hanging = bench.endpoints
        bench.endpoints[:] = [*healthy, hanging, hanging]
        bench.wait(ISOLATED)
        began_at = time.time()
        arrived: list[float] = []

        def is_served() -> bool:
            arrived.extend(at for found in bench.sink.counts().values() for at in found)
            return len(arrived) >= ISOLATED * HEALTHY // len(bench.endpoints)

        bench.runner.run(is_served)
    waits = statistics.quantiles([at - began_at for at in arrived], n=100)
    return Isolation(waits[49], waits[98])


@dataclass(frozen=True, slots=True)
class _Bench:
    sink: Sink
    runner: Runner
    post_office: Post
    endpoints: list[str]

    def deliver(self) -> float:
        """Our rate, over rows that wait."""
        self.wait(DELIVERIES)
        start_s = time.perf_counter()
        self.runner.run(lambda: False)
        seconds = time.perf_counter() - start_s
        assert len(self.sink.counts()) == DELIVERIES
        return DELIVERIES / seconds

    def wait(self, count: int) -> None:
        """So many rows wait, as many for each endpoint."""
        post, at = self.post_office, datetime.now(UTC)
        rows = [_row(self.endpoints[n % len(self.endpoints)], at) for n in range(count)]
        post.deliveries.add(rows)
        post.mailboxes.ring([Ring(each, Channel.WEBHOOK, at) for each in self.endpoints])

    def post(self) -> float:
        """The rate of a loop that signs and posts."""
        seconds = asyncio.run(_bare(self.sink.url("/fine/bare")))
        self.sink.counts()
        return DELIVERIES / seconds


async def _bare(url: str) -> float:
    key, body = make_key(), b"x" * BODY_BYTES
    numbers = iter(range(DELIVERIES))

    async def send(session: ClientSession) -> None:
        for _ in numbers:
            event_id = new_id("evt")
            headers = dict(signed_headers([key], event_id, int(time.time()), body))
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.ok

    start_s = time.perf_counter()
    async with ClientSession(
        connector=TCPConnector(limit=IN_FLIGHT), timeout=ClientTimeout(total=15)
    ) as session:
        await asyncio.gather(*(send(session) for _ in range(IN_FLIGHT)))
    return time.perf_counter() - start_s


def _row(webhook_id: str, at: datetime) -> Document:
    event = Event(
        new_id("evt"),
        EventType.TASK_COMPLETED,
        at,
        "ns_bench",
        Subject("task", new_id("tsk")),
        {},
        CacheScope(Scope.KEY, "tsk_bench"),
    )
    return new_delivery(
        event, b"x" * BODY_BYTES, Target(webhook_id, Channel.WEBHOOK, webhook_id), at=at
    )


@contextmanager
def _mongo() -> Iterator[str]:
    """The URL of a MongoDB, which is there within the block."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
        layout = Layout(Path(folder))
        layout.make()
        (port,) = free_ports(1)
        server = Mongo(layout, port)
        with running(layout, [server]):
            yield server.url


@contextmanager
def _bench(
    mongo_url: str, sink: Sink, *, paths: Sequence[str], **limits: float
) -> Iterator[_Bench]:
    settings = Settings.model_validate(
        {
            "mongo_url": mongo_url,
            "mongo_database": DATABASE,
            "secret_key": "k" * 32,
            "webhook_allowed_networks": f"{LOOPBACK}/32",
            "webhook_allowed_ports": str(sink.port),
            **limits,
        }
    )
    database = connect(settings, role="bench", wait_s=5, answer_s=30)
    post = Post.open(database, settings)
    post.ensure_indexes()
    endpoints = [
        post.webhooks.create(None, _registration(sink, path), make_key(), by="bench")[0].webhook_id
        for path in paths
    ]
    office = Office(
        settings,
        post.deliveries,
        post.mailboxes,
        StoredAddressBook(post.webhooks, post.callback_secrets, settings),
        Source(hear=lambda: None, expand=lambda: False, call=lambda _: None, count=lambda _: None),
        worker="bench",
        idle_s=0.0,
    )
    try:
        yield _Bench(sink, Runner(office), post, endpoints)
    finally:
        database.client.drop_database(DATABASE)
        database.client.close()


def _registration(sink: Sink, path: str) -> Registration:
    return Registration(f"bench {path}", ["task.completed"], sink.url(path), {}, 15.0, True)
