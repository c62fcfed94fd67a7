"""From what happened to a delivery for each who asked for it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import chain
from typing import Final

from pymongo.database import Database
from yarl import URL

from app.database import Document, server_time
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.derivation import ABOUT, CONCERN_US, DERIVED, events_of
from app.deliveries.internal import internal_channels
from app.deliveries.mailbox import MailboxStore, Ring
from app.deliveries.store import DeliveryStore
from app.events.event import Event
from app.events.outbox import OutboxStore
from app.events.type import EVERY
from app.receipts.outbox import Idle, ReceiptOutbox
from app.webhooks.channel import Channel, internal_mailbox
from app.webhooks.destination import Subscription
from app.webhooks.webhook import WebhookStore

PAGE: Final = 500
# Bodies that wait to be stored: a few of them may be as large as all others together.
HELD_BYTES: Final = 8 * 1024 * 1024
HELD_ROWS: Final = 1_000
# While no webhook asks for tasks, what happened to them is noted in steps of so many, and so long
# after: short ones have ended by then, and are written to once. Each step passes over all that
# waits, in the index, in search of what concerns somebody: few steps make up for a long outage.
IDLE_PAGE: Final = 10_000
IDLE_FOR: Final = timedelta(seconds=2)


class Expansion:
    """Makes the deliveries. Safe to repeat, to race and to die in at any point: a delivery's id is
    made of event and target, and what is told is noted after its deliveries are stored.
    """

    def __init__(
        self,
        database: Database[Document],
        receipts: ReceiptOutbox,
        webhooks: WebhookStore,
        deliveries: DeliveryStore,
        mailboxes: MailboxStore,
        *,
        first_delays: Mapping[Channel, timedelta],
        retention: timedelta,
    ) -> None:
        """`first_delays` are before the first attempts; what nobody is sent is kept `retention`."""
        self._database = database
        self._outbox = OutboxStore(database)
        self._receipts = receipts
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._mailboxes = mailboxes
        self._first_delays = first_delays
        self._retention = retention
        self._is_asked = True  # whether at the last look a webhook asked for tasks

    def run(self) -> bool:
        """One page of what waits, the oldest first; whether there may be more."""
        is_asked = self._is_asked
        now = server_time(self._database)
        events = self._outbox.waiting(limit=PAGE)
        only = None if is_asked else CONCERN_US
        tasks = self._receipts.untold(limit=PAGE, about=ABOUT, only=only)
        idle = [] if is_asked else self._idle(now)
        # After them: whoever subscribed before they were stored is here, whatever clocks say.
        subscriptions = self._webhooks.subscriptions()
        self._is_asked = any(map(_wants_tasks, subscriptions))
        of_tasks = (
            (event, task.callback_url if is_end else None)
            for task in tasks
            for event, is_end in events_of(task)
        )
        of_resources = ((event, None) for event in events)
        self._store(_Targets(subscriptions), chain(of_resources, of_tasks), now)
        self._outbox.told([event.event_id for event in events], expire_at=now + self._retention)
        self._receipts.told(tasks)
        if self._is_asked and not is_asked:
            return True  # whoever asks since then may ask for what is idle, too
        self._receipts.settle(idle)
        return PAGE in (len(events), len(tasks)) or len(idle) == IDLE_PAGE

    def _idle(self, now: datetime) -> list[Idle]:
        return self._receipts.idle(before=now - IDLE_FOR, but=CONCERN_US, limit=IDLE_PAGE)

    def _store(
        self, targets: "_Targets", events: Iterable[tuple[Event, str | None]], now: datetime
    ) -> None:
        rows: list[Document] = []
        held_bytes = 0
        rings: dict[str, Ring] = {}
        for event, callback_url in events:
            if found := list(targets.of(event, callback_url)):
                body = event.to_bytes()
                rows += [self._row(event, body, target, now) for target in found]
                held_bytes += len(body)
                rings |= {
                    each.mailbox_id: Ring(each.mailbox_id, each.channel, self._due(each, now))
                    for each in found
                    if each.is_open
                }
            if held_bytes >= HELD_BYTES or len(rows) >= HELD_ROWS:
                self._deliveries.add(rows)
                rows, held_bytes = [], 0
        self._deliveries.add(rows)
        # After the rows: whoever hears it finds them.
        self._mailboxes.ring(list(rings.values()))

    def _row(self, event: Event, body: bytes, target: Target, now: datetime) -> Document:
        # By when it happened: whoever expands it, rows of one task are due in its order.
        due_at = self._due(target, min(now, event.occurred_at))
        row = new_delivery(event, body, target, at=now, due_at=due_at)
        return row if target.is_open else {**row, "expire_at": now + self._retention}

    def _due(self, target: Target, since: datetime) -> datetime:
        return since + self._first_delays[target.channel]


class _Targets:
    """Who is told of an event: subscriptions are sorted once, for many events."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._by_type: dict[str, list[Subscription]] = {}
        for each in subscriptions:
            for event_type in each.event_types:
                self._by_type.setdefault(event_type, []).append(each)

    def of(self, event: Event, callback_url: str | None) -> Iterator[Target]:
        for channel in internal_channels(event):
            yield Target(internal_mailbox(channel), channel)
        named = self._by_type.get(event.event_type, ())
        every = self._by_type.get(EVERY, ())
        # One that asks for a type by its name and for every type is one target all the same.
        for each in dict.fromkeys((*named, *every)):
            if each.asks_for(event):
                yield Target(
                    each.webhook_id, Channel.WEBHOOK, each.webhook_id, is_open=each.is_open
                )
        if callback_url is not None:
            mailbox_id = callback_mailbox(event.namespace_id, callback_url)
            yield Target(mailbox_id, Channel.CALLBACK, url=callback_url)


def callback_mailbox(namespace_id: str, url: str) -> str:
    """One for each server that a namespace's tasks call back: it has its troubles for itself."""
    origin = str(URL(url).origin())
    return f"callback:{namespace_id}:{sha256(origin.encode()).hexdigest()[:16]}"


def _wants_tasks(subscription: Subscription) -> bool:
    return EVERY in subscription.event_types or not DERIVED.isdisjoint(subscription.event_types)
