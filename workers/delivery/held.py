"""A mailbox while its turn is ours: what waits in it, and what of it is on its way."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from app.deliveries.delivery import Delivery
from app.deliveries.health import Health
from app.deliveries.mailbox import Mailbox
from app.receipts.receipt import rfc3339
from app.webhooks.channel import Channel
from app.webhooks.destination import Destination
from workers.delivery.desk import Closure

# Rows that are read at a time, and that are left when more are, for each that may be in flight.
PAGE: Final = 12
LEFT: Final = 3
# Rows that have waited here for so long are read again, with where they go: a change of their
# endpoint holds soon, however slow it answers.
FRESH_S: Final = 2.0


@dataclass(slots=True)
class HeldMailbox:
    """`is_dry` once all that is due was read; who `leaves` begins nothing more before the turn is
    given back; `verdict` is why its endpoint is to be disabled then.
    """

    mailbox_id: str
    channel: Channel
    rings: int
    health: Health
    each: int
    since_s: float
    slots: asyncio.Semaphore
    waiting: deque[Delivery] = field(default_factory=deque)
    destination: Destination | None = None
    read_s: float = 0.0
    is_dry: bool = False
    leaves: bool = False
    verdict: Closure | None = None
    in_flight: int = 0  # begun, and not sent to their end
    _busy: set[str] = field(default_factory=set)  # until their ends are stored
    _first: set[str] = field(default_factory=set)  # tasks whose first attempt is on its way
    _successes: int = 0

    @classmethod
    def of(cls, mailbox: Mailbox, *, each: int, since_s: float) -> "HeldMailbox":
        """One whose turn was just taken, with at most `each` in flight."""
        return cls(
            mailbox.mailbox_id,
            mailbox.channel,
            mailbox.rings,
            mailbox.health,
            each,
            since_s,
            asyncio.Semaphore(each),
        )

    @property
    def wants_rows(self) -> bool:
        """Whether more is to be read than waits here."""
        return not self.leaves and not self.is_dry and len(self.waiting) < LEFT * self.each

    @property
    def is_idle(self) -> bool:
        """Whether the turn can be given back: nothing is on its way, nothing can be begun."""
        return not self._busy and (self.leaves or (self.is_dry and not self.waiting))

    @property
    def page(self) -> int:
        """How many rows are read at a time."""
        return PAGE * self.each

    @property
    def cap(self) -> int:
        """How many may be sent at a time: more with each success, until there are `each`."""
        return 1 if self.health.is_quarantined else min(self.each, 1 + self._successes)

    def fill(
        self,
        rows: Sequence[Delivery],
        destination: Destination | None,
        *,
        rings: int,
        now_s: float,
    ) -> None:
        """What is due, in order, as it was read after the mailbox had been rung `rings` times."""
        self.waiting = deque(row for row in rows if row.delivery_id not in self._busy)
        self.read_s = now_s
        # What has begun goes where it was to go, though nothing may be left to begin.
        self.destination = destination or self.destination
        self.is_dry = len(rows) < self.page and rings == self.rings

    def hear(self, rings: int) -> None:
        """It has been rung so often: there may be more than was read."""
        if rings != self.rings:
            self.rings = rings
            self.is_dry = False

    @property
    def room(self) -> int:
        """How many may have begun: in full swing some wait until a slot is free, so that slots do
        not wait for MongoDB.
        """
        return self.cap if self.cap < self.each else self.each + self.each // 2

    def choose(self, *, now_s: float) -> Delivery | None:
        """The next to be begun, if there is one; a task's next waits for its first attempt."""
        if self.leaves or self.in_flight >= self.room:
            return None
        if self.waiting and now_s - self.read_s > FRESH_S:
            self.waiting.clear()
            self.is_dry = False
            return None
        behind = set(self._first)
        for place, row in enumerate(self.waiting):
            if not is_first(row) or row.task_id not in behind:
                del self.waiting[place]
                self._start(row)
                return row
            behind.add(str(row.task_id))
        return None

    def to(self, row: Delivery) -> Destination:
        """Where the row goes: one receiver of callbacks has many URLs."""
        assert self.destination is not None  # rows are read together with it
        return self.destination if row.url is None else replace(self.destination, url=row.url)

    def arrive(self, row: Delivery, health: Health, *, is_delivered: bool) -> None:
        """The row's attempt has ended."""
        self.in_flight -= 1
        self.health = health
        self._successes += is_delivered
        if is_first(row):
            self._first.discard(str(row.task_id))

    def settle(self, row: Delivery) -> None:
        """How its attempt ended is stored."""
        self._busy.discard(row.delivery_id)

    def drop(self, row: Delivery) -> None:
        """The row was changed by somebody else since it was read."""
        self.arrive(row, self.health, is_delivered=False)
        self.settle(row)
        self.is_dry = False

    def leave(self, verdict: Closure | None = None) -> None:
        """Begins nothing more in this turn."""
        self.leaves = True
        self.verdict = self.verdict or verdict
        self.waiting.clear()

    def is_paused(self, now: datetime) -> bool:
        """Whether its receiver asked to be left alone."""
        return self.health.paused_until is not None and self.health.paused_until > now

    def as_mailbox(self) -> Mailbox:
        """As the stores know it."""
        return Mailbox(self.mailbox_id, self.channel, self.rings, self.health)

    def why_close(self, now: datetime, *, disable_after: timedelta, is_gone: bool) -> str | None:
        """Why its endpoint is disabled, where it is: nobody owns what one task named."""
        if self.channel is not Channel.WEBHOOK:
            return None
        if is_gone:
            return "The endpoint answered 410: it wants no more events."
        since = self.health.failing_since
        if since is not None and now - since >= disable_after:
            return f"Each attempt since {rfc3339(since)} has failed."
        return None

    def _start(self, row: Delivery) -> None:
        self.in_flight += 1
        self._busy.add(row.delivery_id)
        if is_first(row) and row.task_id is not None:
            self._first.add(row.task_id)


def is_first(row: Delivery) -> bool:
    """Whether no attempt of the row has come to a known end; replays go in any order."""
    return row.task_id is not None and row.round == 0 and row.round_attempts == 0
