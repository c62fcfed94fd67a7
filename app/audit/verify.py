"""Holds all that the stores hold against the rules; it only reads, on a live system too."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pymongo.database import Database
from redis import Redis

from app.audit.allowance import MARGIN, Allowance
from app.audit.archive import Archive
from app.audit.copy import flaws
from app.audit.copy_archive import CopyArchive
from app.audit.effect import KINDS, EffectKind, stale, unreceipted
from app.audit.receipt_round import ReceiptRound
from app.audit.report import Findings, Report
from app.audit.shape import receipt_flaw, shape_flaw
from app.audit.violation import Rule
from app.database import Document

LISTED: Final = 20


def verify(
    database: Database[Document],
    redis: Redis | None,
    *,
    margin: timedelta = MARGIN,
    allowance: Allowance | None = None,
    listed: int = LISTED,
) -> Report:
    """Every broken rule, with the first `listed` breaches of each.

    `margin` is how long something may wait that sweeps should have taken up; `allowance` has the
    other bounds. Without `redis` neither copies nor queues are looked at. The drivers' errors
    escape.
    """
    bounds = replace(allowance or Allowance(), margin=margin)
    findings = Findings(listed)
    archive = Archive(database)
    copies = None if redis is None else CopyArchive(redis)
    ReceiptRound(archive, copies, findings, bounds).run()
    for kind in KINDS:
        _effects(kind, archive, findings, bounds)
    if copies is not None:
        _copies(copies, archive, findings, bounds)
    return findings.report()


def _effects(kind: EffectKind, archive: Archive, findings: Findings, bounds: Allowance) -> None:
    before: Document | None = None
    for page in archive.effects(kind):
        findings.checked[kind.collection] += len(page)
        readable = []
        for effect in page:
            flaw = shape_flaw(effect, kind.shape)
            findings.add(Rule.UNREADABLE, effect["_id"], flaw)
            if flaw is None:
                readable.append(effect)
        _judge(readable, kind, archive, findings, bounds)
        for effect in readable:
            if before is not None and archive.holds_both(kind, before, effect):
                detail = f"{before['_id']} stands for the same"
                findings.add(Rule.DOUBLE_EFFECT, effect["_id"], detail)
            before = effect


def _judge(
    effects: list[Document],
    kind: EffectKind,
    archive: Archive,
    findings: Findings,
    bounds: Allowance,
) -> None:
    now = archive.now()
    # After the effects: whatever moved on in between, the history has their attempts.
    receipts = archive.receipts(sorted({effect["task_id"] for effect in effects}))
    for effect in effects:
        lost = unreceipted(effect, kind, receipts, now=now, kept=bounds.kept)
        findings.add(Rule.EFFECT_WITHOUT_RECEIPT, effect["_id"], lost)
        receipt = _readable(receipts, effect["task_id"])
        late = stale(effect, kind, receipt, clocks=bounds.clocks)
        findings.add(Rule.STALE_EFFECT, effect["_id"], late)


def _copies(
    copies: CopyArchive, archive: Archive, findings: Findings, bounds: Allowance
) -> None:
    for page in copies.pages():
        findings.checked["copies"] += len(page)
        truths = archive.receipts(sorted({copy.task_id for copy in page}))
        now = archive.now()
        for copy in page:
            if copy.task_id in truths and _readable(truths, copy.task_id) is None:
                continue
            for rule, detail in flaws(copy, truths.get(copy.task_id), now=now, kept=bounds.kept):
                findings.add(rule, copy.task_id, detail)


def _readable(receipts: Mapping[str, Document], task_id: str) -> Document | None:
    receipt = receipts.get(task_id)
    return receipt if receipt is not None and receipt_flaw(receipt) is None else None
