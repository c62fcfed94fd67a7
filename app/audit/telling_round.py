"""Looks at what others are to be told of: the outbox, mailboxes, and the log of each delivery."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from pymongo.database import Database

from app.audit import telling
from app.audit.allowance import Allowance
from app.audit.archive import ROWS_PER_READ
from app.audit.report import Findings
from app.audit.violation import Rule
from app.database import Document, server_time
from app.deliveries.mailbox import COLLECTION as MAILBOXES
from app.deliveries.store import COLLECTION as DELIVERIES
from app.events.outbox import COLLECTION as OUTBOX
from app.receipts.write import COLLECTION as TASKS
from app.webhooks.webhook import COLLECTION as WEBHOOKS

CHECKED: Final = DELIVERIES
# The ids of what looked wrong, in memory until the second look.
SUSPECTS_HELD: Final = 100_000
# Not what receivers were sent, nor what they answered.
_LOG: Final = dict.fromkeys(
    (
        *("mailbox_id", "status", "due_at", "updated_at", "attempt_count"),
        *("attempts.number", "attempts.outcome"),
    ),
    1,
)


class TellingRound:
    """One round over all deliveries, which may move on meanwhile."""

    def __init__(self, database: Database[Document], findings: Findings, bounds: Allowance) -> None:
        self._database = database
        self._findings = findings
        self._bounds = bounds

    def run(self) -> None:
        """Adds every breach to the findings."""
        late = dict(self._late())
        suspects: list[str] = []
        for page in self._pages():
            suspects += self._look(page)
            if len(suspects) >= SUSPECTS_HELD:
                self._look_again(suspects)
                suspects.clear()
        if suspects or late:
            self._look_again(suspects)
        if late:
            for subject_id, detail in self._late():
                if subject_id in late:
                    self._findings.add(Rule.OVERDUE, subject_id, detail)

    def _look_again(self, suspects: Iterable[str]) -> None:
        """Reports what is still wrong: the rest had only been caught on its way."""
        time.sleep(self._bounds.second_look.total_seconds())
        ids = iter(suspects)
        while some := list(islice(ids, ROWS_PER_READ)):
            rows = list(self._database[DELIVERIES].find({"_id": {"$in": some}}, _LOG))
            for delivery_id, detail in self._forgotten(rows):
                self._findings.add(Rule.FORGOTTEN_DELIVERY, delivery_id, detail)

    def _look(self, page: list[Document]) -> list[str]:
        """Judges each delivery by itself; returns those that may be forgotten."""
        for delivery in page:
            self._findings.checked[CHECKED] += 1
            self._findings.add(Rule.GAP_IN_LOG, delivery["_id"], telling.gap_in_log(delivery))
        return [delivery_id for delivery_id, _ in self._forgotten(page)]

    def _forgotten(self, deliveries: list[Document]) -> Iterator[tuple[str, str]]:
        """By mailboxes that are read after the deliveries."""
        now = server_time(self._database)
        ids = list({delivery["mailbox_id"] for delivery in deliveries})
        found = {row["_id"]: row for row in self._database[MAILBOXES].find({"_id": {"$in": ids}})}
        for delivery in deliveries:
            mailbox = found.get(delivery["mailbox_id"])
            detail = telling.forgotten(delivery, mailbox, now=now, margin=self._bounds.margin)
            if detail is not None:
                yield delivery["_id"], detail

    def _late(self) -> Iterator[tuple[str, str]]:
        """What nobody was told of in time, the oldest of each kind; where anybody is to be told."""
        if not any(self._database[name].find_one({}, {"_id": 1}) for name in (WEBHOOKS, MAILBOXES)):
            return
        now, margin = server_time(self._database), self._bounds.margin
        for row in self._database[MAILBOXES].find({"due_at": {"$lt": now - margin}}):
            if (detail := telling.unserved(row, now=now, margin=margin)) is not None:
                yield row["_id"], detail
        for collection, field in ((OUTBOX, "waiting_since"), (TASKS, "untold_since")):
            query = {field: {"$lt": now - margin}}
            for row in self._database[collection].find(
                query, {field: 1}, sort=[(field, 1)], limit=ROWS_PER_READ
            ):
                if (detail := telling.waiting(row[field], now=now, margin=margin)) is not None:
                    yield row["_id"], detail

    def _pages(self) -> Iterator[list[Document]]:
        after: Document = {}
        rows = self._database[DELIVERIES]
        while page := list(rows.find(after, _LOG, sort=[("_id", 1)], limit=ROWS_PER_READ)):
            yield page
            after = {"_id": {"$gt": page[-1]["_id"]}}
