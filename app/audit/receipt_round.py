"""Looks at every receipt: what it shows by itself, by the time, and beside its family."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from app.audit import family, overdue
from app.audit.allowance import Allowance
from app.audit.archive import ROWS_PER_READ, Archive
from app.audit.copy_archive import CopyArchive
from app.audit.overdue import Sight
from app.audit.report import Findings
from app.audit.shape import receipt_flaw
from app.audit.single import breaches
from app.audit.violation import Rule
from app.database import Document

# The ids of what looked wrong, in memory until the second look.
SUSPECTS_HELD: Final = 100_000

# What a receipt waits for.
IN_SIGHT: Final[Sequence[Callable[[Document, Sight], str | None]]] = (
    overdue.lost_lease,
    overdue.unsent_message,
    overdue.shut_door,
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
        for namespace_id, inside, limit in self._archive.overfull():
            detail = f"{inside} tasks were let in, and its quota has room for {limit}"
            self._findings.add(Rule.OVER_QUOTA, namespace_id, detail)

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
            for rule, detail in breaches(receipt):
                self._findings.add(rule, receipt["_id"], detail)
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
        unreadable = {each for each, parent in parents.items() if receipt_flaw(parent)}
        sight = self._sight(receipts, now)
        for receipt in receipts:
            parent_id = receipt["parent_task_id"]
            found = list(self._late(receipt, sight))
            if parent_id is not None and parent_id not in unreadable:
                found += self._beside(receipt, parents.get(parent_id), sight)
            yield from ((receipt["_id"], rule, text) for rule, text in found if text)

    def _late(self, receipt: Document, sight: Sight) -> Iterator[tuple[Rule, str | None]]:
        for late in IN_SIGHT:
            yield Rule.OVERDUE, late(receipt, sight)
        if self._has_all_children(receipt, sight.now):
            lacking = family.incomplete(receipt, sight.children_of(receipt))
            yield Rule.CHILDREN_INCOMPLETE, lacking

    def _beside(
        self, child: Document, parent: Document | None, sight: Sight
    ) -> Iterator[tuple[Rule, str | None]]:
        if parent is None:
            lost = family.orphan(child, now=sight.now, kept=self._bounds.kept)
            yield Rule.ORPHAN_CHILD, lost
            return
        outliving = family.outliving(child, parent, now=sight.now, margin=sight.margin)
        yield Rule.CHILD_OUTLIVES_PARENT, outliving
        early = family.early_conclusion(child, parent, clocks=self._bounds.clocks)
        yield Rule.CONCLUDED_EARLY, early
        yield Rule.OVERDUE, overdue.untold_child(child, parent, sight)

    def _sight(self, receipts: Sequence[Document], now: datetime) -> Sight:
        """What stands around these receipts, read after them."""
        parent_ids = [
            each["_id"]
            for each in receipts
            if self._has_all_children(each, now) or overdue.is_to_end(each)
        ]
        queues = {each["queue"] for each in receipts if overdue.counts_on_message(each)}
        quotas = {each["namespace_id"] for each in receipts if overdue.is_held(each)}
        return Sight(
            now,
            self._bounds.margin,
            children=self._archive.children(parent_ids),
            depths=self._copies.depths(queues) if self._copies else {},
            doors=self._archive.doors(sorted(quotas)),
        )

    def _has_all_children(self, receipt: Document, now: datetime) -> bool:
        return family.has_all_children(receipt, now=now, kept=self._bounds.kept)


def _parent_ids(receipts: Iterable[Document]) -> list[str]:
    return sorted({each["parent_task_id"] for each in receipts if each.get("parent_task_id")})
