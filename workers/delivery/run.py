"""A run of the dispatcher over the stores of this process: its loop, its session, its limits."""

import asyncio
import ssl
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from app.deliveries.mailbox import MailboxStore, Turn
from app.deliveries.retry import Schedule
from app.deliveries.store import DeliveryStore
from app.egress.session import open_session, trust
from app.settings import Settings
from app.webhooks.channel import Channel
from app.webhooks.url import webhook_guard
from workers.delivery.address_book import AddressBook
from workers.delivery.desk import Desk, Source
from workers.delivery.dispatcher import Dispatcher
from workers.delivery.limits import limits_of
from workers.delivery.sender import PostSender

IDLE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Office:
    """What runs of one process have in common."""

    settings: Settings
    deliveries: DeliveryStore
    mailboxes: MailboxStore
    book: AddressBook
    source: Source
    worker: str
    idle_s: float = IDLE_S


class Runner:
    """At most one run at a time; a call during one has it look again."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lock = threading.Lock()
        self._is_running = False
        self._is_called = False
        self._dispatcher: Dispatcher | None = None
        self._tls: ssl.SSLContext | None = None
        self._source = replace(office.source, hear=self._hear)

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Delivers what is due, or tells the run that is under way; never misses a call."""
        with self._lock:
            self._is_called = True
            if self._dispatcher is not None:
                self._dispatcher.wake()
            if self._is_running:
                return
            self._is_running = True
        try:
            while self._has_been_called() and not is_stopping():
                self._run_once(is_stopping)
        finally:
            with self._lock:
                self._is_running = False

    def _hear(self) -> None:
        """Whoever called before this moment called for this look."""
        with self._lock:
            self._is_called = False
        self._office.source.hear()

    def _has_been_called(self) -> bool:
        """Whether since the last look; if not, the next call begins a run of its own."""
        with self._lock:
            was_called, self._is_called = self._is_called, False
            self._is_running = was_called
            return was_called

    def _run_once(self, is_stopping: Callable[[], bool]) -> None:
        loop = asyncio.new_event_loop()
        # Look-ups of names, which block: each delivery that is on its way may need one.
        lookups = ThreadPoolExecutor(self._office.settings.webhook_in_flight, "lookup")
        loop.set_default_executor(lookups)
        try:
            loop.run_until_complete(self._deliver(is_stopping))
        finally:
            # Without waiting for look-ups that hang, as `asyncio.run` does.
            loop.close()

    async def _deliver(self, is_stopping: Callable[[], bool]) -> None:
        office, settings = self._office, self._office.settings
        guard = webhook_guard(settings)
        self._tls = self._tls or trust(settings.egress_ca_file)
        async with open_session(
            guard,
            tls=self._tls,
            timeout_s=settings.webhook_timeout_s,
            connections=settings.webhook_in_flight,
        ) as session:
            post = PostSender(session, guard, timeout_s=settings.webhook_timeout_s)
            limits = limits_of(settings, idle_s=office.idle_s)
            turn = Turn(uuid.uuid4().hex, office.worker, limits.lease)
            desk = Desk(office.deliveries, office.mailboxes, office.book, self._source, turn)
            dispatcher = Dispatcher(
                desk,
                {Channel.WEBHOOK: post, Channel.CALLBACK: post},
                Schedule(settings.webhook_retry_delays_s),
                limits,
                rng=Random(),
            )
            self._begin(dispatcher)
            try:
                await dispatcher.run(is_stopping)
            finally:
                self._begin(None)

    def _begin(self, dispatcher: Dispatcher | None) -> None:
        with self._lock:
            self._dispatcher = dispatcher
