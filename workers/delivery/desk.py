"""What a dispatcher does in the stores: each method is called in a thread, and blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.deliveries.delivery import Delivery
from app.deliveries.health import Health
from app.deliveries.mailbox import Mailbox, MailboxStore, Release, Turn
from app.deliveries.store import DeliveryStore, Ending
from app.errors import WaybillError
from app.receipts.tally import Counts
from app.webhooks.channel import INTERNAL, Channel
from app.webhooks.destination import Destination
from workers.delivery.address_book import AddressBook

log = structlog.get_logger(__name__)

OUTSIDE: Final = tuple(channel for channel in Channel if channel not in INTERNAL)
# A handler whose message was lost is called again.
CALL_EVERY: Final = timedelta(seconds=2)
# What cannot be signed waits for the operator.
UNSIGNED_FOR: Final = timedelta(minutes=1)
CLOSED: Final = "The endpoint is disabled, not active or deleted."


@dataclass(frozen=True, slots=True)
class Source:
    """What comes before deliveries, and beside them."""

    hear: Callable[[], None]  # takes the nudge away, before the look
    expand: Callable[[], bool]  # makes deliveries of what happened; whether more is left
    call: Callable[[Channel], None]  # has the handler of an internal channel run
    count: Callable[[Counts], None]  # for operators


@dataclass(frozen=True, slots=True)
class Room:
    """How many more mailboxes may be taken."""

    usual: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found: mailboxes just taken, and the rings of all that are held."""

    now: datetime
    is_more: bool
    taken: Sequence[Mailbox]
    rings: dict[str, int]


@dataclass(frozen=True, slots=True)
class Page:
    """What is due in a mailbox, and where it goes; nothing of it goes before `pause` is over."""

    rows: Sequence[Delivery] = ()
    destination: Destination | None = None
    pause: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Closure:
    """Why an endpoint is to be disabled, and the URL that was called."""

    reason: str
    url: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A mailbox whose turn is given back; with a verdict its endpoint is disabled first."""

    mailbox: Mailbox
    verdict: Closure | None


class Desk:
    """One dispatcher's, under its turn."""

    def __init__(
        self,
        deliveries: DeliveryStore,
        mailboxes: MailboxStore,
        book: AddressBook,
        source: Source,
        turn: Turn,
    ) -> None:
        self._deliveries = deliveries
        self._mailboxes = mailboxes
        self._book = book
        self._source = source
        self._turn = turn

    def look(self, room: Room) -> Look:
        """Expands what happened, calls handlers, and takes the turns that are free."""
        self._source.hear()
        is_more = self._source.expand()
        for channel in self._mailboxes.call(INTERNAL, every=CALL_EVERY):
            self._source.call(channel)
        taken = self._take(room.usual, quarantined=False)
        taken += self._take(room.quarantined, quarantined=True)
        now = self._mailboxes.now()
        lost = self._deliveries.recover([each.mailbox_id for each in taken], self._turn, at=now)
        if lost:
            log.warning("delivery.recovered", attempts=lost)
        return Look(now, is_more, taken, self._mailboxes.held(self._turn))

    def read(self, mailbox: Mailbox, *, now: datetime, limit: int) -> Page:
        """What is due; all that waits is skipped where its receiver is closed or gone."""
        rows = self._deliveries.due(mailbox.mailbox_id, now=now, limit=limit)
        if not rows:
            return Page()
        try:
            destination = self._book.destination(rows[0])
        except WaybillError as exc:
            log.error("delivery.unsigned", mailbox_id=mailbox.mailbox_id, reason=str(exc))
            return Page(pause=UNSIGNED_FOR)
        if destination is None:
            self._skip(mailbox.mailbox_id, now)
            return Page()
        return Page(rows, destination)

    def begin(self, chosen: Sequence[Delivery], *, now: datetime) -> list[Delivery]:
        """Writes that attempts begin, and returns the deliveries that may be sent now."""
        return self._deliveries.begin(chosen, self._turn, at=now)

    def end(self, endings: Sequence[Ending]) -> None:
        """Completes attempts. Safe to repeat."""
        self._deliveries.end(endings, self._turn)

    def leave(self, leavings: Sequence[Leaving], *, now: datetime) -> datetime | None:
        """Gives turns back, and says when the first of the mailboxes is due again."""
        releases = [self._release(each, now) for each in leavings]
        self._mailboxes.release(self._turn, releases)
        return min((each.due_at for each in releases if each.due_at is not None), default=None)

    def keep(self, healths: dict[str, Health], counts: Counts) -> None:
        """Renews the turn, and stores how receivers do and what was done."""
        self._mailboxes.renew(self._turn)
        self._source.count(counts)
        self._mailboxes.note(self._turn, healths)

    def close(self, healths: dict[str, Health], counts: Counts) -> None:
        """Gives all back that is left."""
        self._source.count(counts)
        self._mailboxes.note(self._turn, healths)
        self._mailboxes.abandon(self._turn)

    def _take(self, limit: int, *, quarantined: bool) -> list[Mailbox]:
        if limit <= 0:
            return []
        return self._mailboxes.take(
            self._turn, limit=limit, channels=OUTSIDE, quarantined=quarantined
        )

    def _release(self, leaving: Leaving, now: datetime) -> Release:
        mailbox = leaving.mailbox
        if leaving.verdict is not None and self._disables(mailbox.mailbox_id, leaving.verdict):
            self._skip(mailbox.mailbox_id, now)
        lost_by = now + self._turn.lease
        due_at = self._deliveries.next_due(mailbox.mailbox_id, lost_by=lost_by)
        paused_until = mailbox.health.paused_until
        if due_at is not None and paused_until is not None:
            due_at = max(due_at, paused_until)
        return Release(mailbox.mailbox_id, mailbox.rings, due_at, mailbox.health)

    def _disables(self, mailbox_id: str, verdict: Closure) -> bool:
        # Who opens an endpoint anew ends the turn first: what was known of it holds no more.
        is_ours = mailbox_id in self._mailboxes.held(self._turn)
        return is_ours and self._book.disable(mailbox_id, verdict.reason, url=verdict.url)

    def _skip(self, mailbox_id: str, now: datetime) -> None:
        skipped = self._deliveries.skip(mailbox_id, error=CLOSED, at=now)
        if skipped:
            log.info("delivery.skipped", mailbox_id=mailbox_id, deliveries=skipped)
