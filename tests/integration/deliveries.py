"""Webhooks of tests with deliveries that wait, and runs of the dispatcher over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo.database import Database
from redis import Redis

from app.database import Document, connect, server_time
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.mailbox import Ring
from app.deliveries.post import Post
from app.events.event import CacheScope, Event, Scope, Subject
from app.events.type import EventType
from app.identity import new_id
from app.receipts.tally import Tally
from app.settings import Settings
from app.webhooks.channel import Channel
from app.webhooks.endpoint import Registration
from app.webhooks.secret import make_key, write_secret
from tests.receiver import LOOPBACK
from workers.delivery.address_book import StoredAddressBook
from workers.delivery.desk import Source
from workers.delivery.run import Office, Runner

NAMESPACE = "ns_test"


def settings_for(
    database: Database[Document], mongo_url: str, redis_url: str, port: int, **others: object
) -> Settings:
    """Deliveries may call the loopback at the port; attempts follow each other at once."""
    values = {
        "mongo_url": mongo_url,
        "mongo_database": database.name,
        "redis_url": redis_url,
        "secret_key": "0123456789abcdef" * 2,
        "webhook_allowed_networks": f"{LOOPBACK}/32",
        "webhook_allowed_ports": str(port),
        "webhook_retry_delays_s": "0,0,0",
        **others,
    }
    return Settings.model_validate(values)


@dataclass(frozen=True, slots=True)
class PostRoom:
    """The stores of a test, and what it sends through them."""

    database: Database[Document]
    settings: Settings
    post: Post

    @classmethod
    def open(cls, settings: Settings) -> "PostRoom":
        database = connect(settings, role="test", wait_s=5, answer_s=30)
        post = Post.open(database, settings)
        post.ensure_indexes()
        return cls(database, settings, post)

    def webhook(self, url: str, *, headers: dict[str, str] | None = None) -> tuple[str, str]:
        """The id of a new webhook, and its secret as its owner configures it."""
        name = new_id("name")
        key = make_key()
        said = Registration(name, ["*"], url, headers or {}, 30.0, True)
        webhook, _ = self.post.webhooks.create(NAMESPACE, said, key, by="test")
        return webhook.webhook_id, write_secret(key)

    def deliver(self, webhook_id: str, count: int = 1, *, task_id: str | None = None) -> list[str]:
        """So many events wait for the webhook, in order those of one task; their ids."""
        at = server_time(self.database)
        events = [new_event(at, task_id, number) for number in range(count)]
        target = Target(webhook_id, Channel.WEBHOOK, webhook_id)
        rows = [new_delivery(event, event.to_bytes(), target, at=at) for event in events]
        self.post.deliveries.add(rows)
        self.post.mailboxes.ring([Ring(webhook_id, Channel.WEBHOOK, at)])
        return [event.event_id for event in events]

    def run(self, redis_url: str, *, until: Callable[[], bool] = lambda: False) -> None:
        """One run of a dispatcher: to an end when nothing is due, or `until` says so."""
        with Redis.from_url(redis_url) as redis:
            Runner(self.office(redis)).run(until)

    def office(self, redis: Redis) -> Office:
        return Office(
            self.settings,
            self.post.deliveries,
            self.post.mailboxes,
            StoredAddressBook(self.post.webhooks, self.post.callback_secrets, self.settings),
            Source(
                hear=lambda: None, expand=lambda: False, call=lambda _: None, count=Tally(redis).add
            ),
            worker="test",
            idle_s=0.0,
        )

    def rows(self, webhook_id: str) -> list[Document]:
        """The webhook's deliveries, the oldest first."""
        return list(self.database["deliveries"].find({"webhook_id": webhook_id}).sort("sequence"))

    def statuses(self, webhook_id: str) -> Sequence[str]:
        return [row["status"] for row in self.rows(webhook_id)]


def new_event(at: datetime, task_id: str | None, number: int) -> Event:
    own_id = task_id or new_id("tsk")
    return Event(
        event_id=new_id("evt"),
        event_type=EventType.TASK_COMPLETED,
        occurred_at=at,
        namespace_id=NAMESPACE,
        subject=Subject("task", own_id),
        metadata={"text": "é"},
        cache_scope=CacheScope(Scope.KEY, own_id),
        task_id=own_id,
        sequence=number + 1,
    )
