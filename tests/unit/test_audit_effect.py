"""Effects beside the attempts that wrote them, copies beside the truth, and where to find both."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from app.audit import copy, effect
from app.audit.copy import NO_END, StoredCopy
from app.audit.report import Findings
from app.audit.source import settings_of
from app.audit.violation import PROMISES, Rule, Violation
from app.database import Document
from app.errors import SettingsError
from app.receipts.cache import render
from app.receipts.receipt import NO_PLACE, Receipt
from tests.unit.test_audit_history import AT, SECOND, S, receipt

DOCUMENTS = effect.KINDS[0]
CLOCKS = timedelta(seconds=2)
DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
# Attempt 1 ran from the first second to the second, attempt 2 from the third on.
TWICE = receipt(S.PENDING, S.PROCESSING, S.PENDING, S.PROCESSING)


def row(attempt: int, written: timedelta) -> Document:
    return {"_id": "doc_a", "task_id": "tsk_a", "attempt": attempt, "updated_at": AT + written}


@pytest.mark.parametrize(
    ("attempt", "written", "is_stale"),
    [
        (1, 2 * SECOND, False),
        (1, 2 * SECOND + CLOCKS, False),
        (1, 2 * SECOND + CLOCKS + MOMENT, True),
        (2, DAY, False),
        (3, 2 * SECOND, True),
        (0, 2 * SECOND, True),
    ],
)
def test_an_attempt_writes_before_it_ends(attempt: int, written: timedelta, is_stale: bool) -> None:
    found = effect.stale(row(attempt, written), DOCUMENTS, TWICE, clocks=CLOCKS)
    assert (found is not None) == is_stale


def test_an_effect_outlives_its_receipt() -> None:
    written = row(1, timedelta(0))
    assert effect.unreceipted(written, DOCUMENTS, now=AT + DAY - MOMENT, kept=DAY)
    assert effect.unreceipted(written, DOCUMENTS, now=AT + DAY, kept=DAY) is None


def test_rows_of_one_key_are_doubles_and_a_row_read_twice_is_not() -> None:
    one = {"_id": "doc_a", "collection_id": "col_a", "object_id": "obj_a"}
    assert DOCUMENTS.is_double(one, one | {"_id": "doc_b"})
    assert not DOCUMENTS.is_double(one, one)
    assert not DOCUMENTS.is_double(one, one | {"_id": "doc_b", "object_id": "obj_b"})


def stored(document: Document, *, ttl_ms: int = 1_000) -> StoredCopy:
    """The copy that the cache makes of a receipt."""
    made = Receipt.from_document({**document, "job_id": None})
    fields = [
        str(made.version).encode(),
        made.namespace_id.encode(),
        b"1" if made.is_terminal else b"0",
        render(made, place=NO_PLACE, from_mongodb=False),
    ]
    return StoredCopy.from_reply(made.task_id, fields, ttl_ms)


def rules(held: StoredCopy, truth: Document | None, *, age: timedelta = SECOND) -> list[Rule]:
    return [rule for rule, _ in copy.flaws(held, truth, now=AT + age, kept=DAY)]


def test_a_copy_of_the_cache_says_what_the_truth_says() -> None:
    for document in (receipt(S.PENDING), receipt(S.PENDING, S.CANCELED, cancellation=None)):
        assert rules(stored(document), document) == []


def test_a_copy_may_be_older_than_the_truth_and_not_newer() -> None:
    document = receipt(S.PENDING)
    later = receipt(S.PENDING, S.PROCESSING)
    assert rules(stored(document), later) == []
    assert rules(stored(later | {"lease": None}), document) == [Rule.COPY_AHEAD]


def test_a_copy_outlives_a_receipt_that_ended_and_no_other() -> None:
    waiting, ended = receipt(S.PENDING), receipt(S.FAILED)
    assert rules(stored(waiting), None, age=100 * DAY) == [Rule.COPY_WITHOUT_RECEIPT]
    assert rules(stored(ended), None, age=DAY - MOMENT) == [Rule.COPY_WITHOUT_RECEIPT]
    assert rules(stored(ended), None, age=DAY) == []


def test_a_copy_has_an_end_and_can_be_read() -> None:
    document = receipt(S.PENDING)
    assert rules(stored(document, ttl_ms=NO_END), document) == [Rule.COPY_WITHOUT_END]
    for fields in ([], [None] * 4, [b"1", b"ns", b"0", b"[]"], [b"x", b"ns", b"0", b"{}"]):
        torn = StoredCopy.from_reply("tsk_a", fields, 1_000)
        assert rules(torn, document) == [Rule.COPY_DIFFERS]


def test_a_subject_counts_once_a_rule() -> None:
    findings = Findings(1, Counter())
    for subject_id, detail in [("a", "x"), ("a", "y"), ("b", None), ("c", "z")]:
        findings.add(Rule.OVERDUE, subject_id, detail)
    report = findings.report()
    assert report.violations == (Violation(Rule.OVERDUE, "a", "x"),)
    assert report.broken == {Rule.OVERDUE: 2}


def test_every_rule_says_what_it_promises() -> None:
    assert set(PROMISES) == set(Rule)
    assert all(promise.endswith(".") for promise in PROMISES.values())


@pytest.fixture
def write_ready(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "ready.json"
        path.write_text(text)
        return path

    return write


def test_a_ready_file_names_the_servers(
    write_ready: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_MONGO_URL", "mongodb://elsewhere")
    monkeypatch.setenv("WAYBILL_MONGO_DATABASE", "parcels")
    ready = write_ready(json.dumps({"mongo_url": "mongodb://a", "redis_url": "redis://b"}))
    found = settings_of(ready)
    assert (found.mongo_url, found.redis_url) == ("mongodb://a", "redis://b")
    assert found.mongo_database == "parcels"
    assert settings_of(None).mongo_url == "mongodb://elsewhere"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mongo_url": "mongodb://a"}'])
def test_a_ready_file_of_another_kind_is_refused(
    write_ready: Callable[[str], Path], text: str
) -> None:
    with pytest.raises(SettingsError, match="is not what"):
        settings_of(write_ready(text))


def test_a_ready_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        settings_of(tmp_path / "none.json")
