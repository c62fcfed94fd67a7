"""Holds all that the stores hold against the rules; it only reads, on a live system too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pymongo.database import Database
from redis import Redis

from app.audit.allowance import DEFAULT, Allowance
from app.audit.archive import Archive
from app.audit.copy import flaws
from app.audit.copy_archive import CopyArchive
from app.audit.effect import KINDS, EffectKind, stale, unreceipted
from app.audit.receipt_round import ReceiptRound
from app.audit.report import Findings, Report
from app.audit.shape import receipt_flaw, shape_flaw
from app.audit.telling_round import CHECKED as TOLD
from app.audit.telling_round import TellingRound
from app.audit.violation import Rule
from app.database import Document

LISTED: Final = 20
COPIES: Final = "copies"
CHECKED: Final = ("receipts", "transitions", *(kind.collection for kind in KINDS), TOLD, COPIES)


def verify(
    database: Database[Document],
    redis: Redis | None,
    *,
    margin: timedelta | None = None,
    allowance: Allowance = DEFAULT,
    listed: int = LISTED,
) -> Report:
    """Every broken rule, with the first `listed` breaches of each.

    `margin`, where it is given, replaces that of the allowance. Without `redis` neither copies
    nor queues are looked at. The drivers' errors escape.
    """
    bounds = allowance if margin is None else replace(allowance, margin=margin)
    findings = Findings(listed, Counter(dict.fromkeys(CHECKED, 0)))
    archive = Archive(database)
    copies = None if redis is None else CopyArchive(redis)
    ReceiptRound(archive, copies, findings, bounds).run()
    for kind in KINDS:
        _effects(kind, archive, findings, bounds)
    TellingRound(database, findings, bounds).run()
    if copies is not None:
        _copies(copies, archive, findings, bounds)
    return findings.report()


def _effects(kind: EffectKind, archive: Archive, findings: Findings, bounds: Allowance) -> None:
    before: Document | None = None
    for page in archive.effects(kind):
        readable = []
        for effect in page:
            findings.checked[kind.collection] += 1
            flaw = shape_flaw(effect, kind.shape)
            findings.add(Rule.UNREADABLE, str(effect["_id"]), flaw)
            if flaw is None:
                readable.append(effect)
        _writers(readable, kind, archive, findings, bounds)
        for effect in readable:
            is_double = before is not None and kind.is_double(before, effect)
            if before is not None and is_double and archive.has_both(kind, before, effect):
                detail = f"{before['_id']} stands for the same"
                findings.add(Rule.DOUBLE_EFFECT, effect["_id"], detail)
            before = effect


def _writers(
    effects: Sequence[Document],
    kind: EffectKind,
    archive: Archive,
    findings: Findings,
    bounds: Allowance,
) -> None:
    """Holds effects against the attempts that wrote them, by histories read after the effects."""
    now = archive.now()
    receipts = archive.receipts(sorted({effect["task_id"] for effect in effects}))
    unreadable = {task_id for task_id, receipt in receipts.items() if receipt_flaw(receipt)}
    for effect in effects:
        task_id = effect["task_id"]
        if task_id not in receipts:
            lost = unreceipted(effect, kind, now=now, kept=bounds.kept)
            findings.add(Rule.EFFECT_WITHOUT_RECEIPT, effect["_id"], lost)
        elif task_id not in unreadable:
            late = stale(effect, kind, receipts[task_id], clocks=bounds.clocks)
            findings.add(Rule.STALE_EFFECT, effect["_id"], late)


def _copies(copies: CopyArchive, archive: Archive, findings: Findings, bounds: Allowance) -> None:
    for page in copies.pages():
        now = archive.now()
        truths = archive.receipts(sorted({copy.task_id for copy in page}))
        for copy in page:
            findings.checked[COPIES] += 1
            truth = truths.get(copy.task_id)
            if truth is not None and receipt_flaw(truth) is not None:
                continue
            for rule, detail in flaws(copy, truth, now=now, kept=bounds.kept):
                findings.add(rule, copy.task_id, detail)
