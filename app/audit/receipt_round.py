"""Looks at every receipt: what it shows by itself, by the time, and beside its family."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from app.audit import ending, family, history, lease, overdue
from app.audit.allowance import Allowance
from app.audit.archive import ROWS_PER_READ, Archive
from app.audit.copy_archive import CopyArchive
from app.audit.overdue import Sight
from app.audit.report import Findings
from app.audit.shape import receipt_flaw
from app.audit.violation import Rule
from app.database import Document

# The ids of what looked wrong, in memory until the second look.
SUSPECTS_HELD: Final = 100_000

# What a receipt shows by itself: it was read at one moment, so a breach is certain at once.
ALONE: Final[Sequence[tuple[Rule, Callable[[Document], str | None]]]] = (
    (Rule.ILLEGAL_TRANSITION, history.illegal_step),
    (Rule.TERMINAL_CHANGED, history.changed_end),
    (Rule.HISTORY_GAP, history.gap),
    (Rule.TIME_BACKWARDS, history.step_back),
    (Rule.VERSION_BEHIND, history.version_behind),
    (Rule.ATTEMPT_GAP, history.attempt_gap),
    (Rule.TOO_MANY_ATTEMPTS, history.excess_attempt),
    (Rule.END_MARKS, ending.end_marks),
    (Rule.UNASKED_STOP, ending.unasked_stop),
    (Rule.OUTCOME_MISSING, ending.missing_outcome),
    (Rule.TWO_LEASES, lease.second_holder),
    (Rule.LEASE_ON_IDLE_TASK, lease.idle_lease),
    (Rule.RUNNING_WITHOUT_LEASE, lease.missing_lease),
)

# What it waits for.
IN_SIGHT: Final[Sequence[Callable[[Document, Sight], str | None]]] = (
    overdue.lost_lease,
    overdue.unsent_message,
    overdue.idle_cancellation,
    overdue.idle_suspension,
    overdue.uncalled_parent,
)


class ReceiptRound:
    """One round over all receipts, which may move on meanwhile."""

    def __init__(
        self, archive: Archive, copies: CopyArchive | None, findings: Findings, bounds: Allowance
    ) -> None:
        self._archive = archive
        self._copies = copies
        self._findings = findings
        self._bounds = bounds

    def run(self) -> None:
        """Adds every breach to the findings."""
        suspects: set[str] = set()
        for page in self._archive.pages():
            readable = self._look(page)
            parents = self._archive.receipts(_parent_ids(readable))
            suspects.update(
                task_id for task_id, _, _ in self._around(readable, parents, self._archive.now())
            )
            if len(suspects) >= SUSPECTS_HELD:
                self._look_again(suspects)
                suspects.clear()
        self._look_again(suspects)
        for one, other in self._archive.shared_tokens():
            self._findings.add(Rule.TWO_LEASES, other, f"the token of its lease holds {one} too")

    def _look(self, page: Sequence[Document]) -> list[Document]:
        """Judges each receipt by itself; returns those that the other rules can read."""
        readable = []
        for receipt in page:
            self._findings.checked["receipts"] += 1
            flaw = receipt_flaw(receipt)
            self._findings.add(Rule.UNREADABLE, receipt["_id"], flaw)
            if flaw is not None:
                continue
            self._findings.checked["transitions"] += len(receipt["history"])
            for rule, breach in ALONE:
                self._findings.add(rule, receipt["_id"], breach(receipt))
            readable.append(receipt)
        return readable

    def _look_again(self, suspects: set[str]) -> None:
        """Reports what is still wrong: the rest had only been caught on its way.

        The clock comes first, parents before their children: what moves on between two reads
        looks younger than it is, never older.
        """
        if suspects:
            time.sleep(self._bounds.second_look.total_seconds())
        ids = iter(sorted(suspects))
        while some := list(islice(ids, ROWS_PER_READ)):
            now = self._archive.now()
            parents = self._archive.receipts(_parent_ids(self._archive.receipts(some).values()))
            receipts = self._archive.receipts(some).values()
            readable = [receipt for receipt in receipts if receipt_flaw(receipt) is None]
            for task_id, rule, detail in self._around(readable, parents, now):
                self._findings.add(rule, task_id, detail)

    def _around(
        self, receipts: Sequence[Document], parents: Mapping[str, Document], now: datetime
    ) -> Iterator[tuple[str, Rule, str]]:
        """What the receipts break by the time, and beside their parents and children."""
        sight = self._sight(receipts, now)
        for receipt in receipts:
            breaches = [(Rule.OVERDUE, late(receipt, sight)) for late in IN_SIGHT]
            if receipt["_id"] in sight.children:
                family.incomplete()
            yield from ((receipt["_id"], rule, text) for rule, text in breaches if text)

