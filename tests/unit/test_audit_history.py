"""Histories and leases, held against the rules one by one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.audit import history, lease
from app.audit.shape import receipt_flaw
from app.audit.single import breaches
from app.audit.violation import Rule
from app.database import Document
from app.receipts.draft import new_document
from app.receipts.receipt import NewTask
from app.receipts.status import INITIAL, TERMINAL, TRANSITIONS, TaskStatusEnum

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
S = TaskStatusEnum


def receipt(*statuses: TaskStatusEnum, **changes: Any) -> Document:
    """One that went through these, a second each, as stores would have left it."""
    task = NewTask("job", "ns_a", ["a"], "key:ci", {}, max_attempts=99)
    document = new_document("tsk_a", task, at=AT)
    claims, before, entries = 0, None, []
    for number, status in enumerate(statuses):
        claims += status is S.PROCESSING
        at = AT + number * SECOND
        step = {"seq": number + 1, "from": before, "to": status.value, "at": at}
        entries.append({**step, "attempt": claims})
        before = status.value
    document.update(history=entries, status=before, attempt=claims, version=len(entries))
    asked = {"requested_at": AT, "actor": "key:ci", "reason": None, "outcome": "it ended"}
    if before == S.CANCELED:
        document["cancellation"] = asked
    if before == S.SUSPENDED:
        document["suspension"] = asked
    if before in TERMINAL:
        document.update(ended_at=at, updated_at=at, expire_at=at + SECOND)
    if before == S.PROCESSING:
        document["lease"] = {"token": "t", "worker": "w1", "expires_at": at + SECOND}
        document["last_token"] = "t"
    return document | changes


def rules(document: Document) -> set[Rule]:
    return {rule for rule, _ in breaches(document)}


@st.composite
def walks(draw: st.DrawFn) -> list[TaskStatusEnum]:
    """Any way through the table of transitions, from an initial status."""
    walk = [draw(st.sampled_from(sorted(INITIAL)))]
    for _ in range(draw(st.integers(0, 12))):
        if TRANSITIONS[walk[-1]]:
            walk.append(draw(st.sampled_from(sorted(TRANSITIONS[walk[-1]]))))
    return walk


@given(walks())
def test_any_legal_history_breaks_no_rule(walk: list[TaskStatusEnum]) -> None:
    document = receipt(*walk)
    assert receipt_flaw(document) is None
    assert rules(document) == set()


@given(st.lists(st.sampled_from(list(TaskStatusEnum)), min_size=1, max_size=6))
def test_any_illegal_step_is_found_and_no_legal_one(statuses: list[TaskStatusEnum]) -> None:
    legal = statuses[0] in INITIAL and all(
        after in TRANSITIONS[before] for before, after in pairwise(statuses)
    )
    found = rules(receipt(*statuses))
    by_steps = {Rule.ILLEGAL_TRANSITION, Rule.TERMINAL_CHANGED, Rule.TWO_LEASES}
    assert bool(found & by_steps) == (not legal)


@given(walks(), st.data())
def test_any_entry_that_is_lost_is_found(walk: list[TaskStatusEnum], data: st.DataObject) -> None:
    document = receipt(*walk)
    del document["history"][data.draw(st.integers(0, len(walk) - 1))]
    assert Rule.HISTORY_GAP in rules(document) or Rule.TERMINAL_CHANGED in rules(document)


@given(walks(), st.data())
def test_any_two_entries_that_change_places_are_found(
    walk: list[TaskStatusEnum], data: st.DataObject
) -> None:
    document = receipt(*walk, S.PENDING, S.CANCELED) if walk == [S.DRAFT] else receipt(*walk)
    entries: list[Document] = document["history"]
    if len(entries) < 2:
        return
    first = data.draw(st.integers(0, len(entries) - 2))
    entries[first], entries[first + 1] = entries[first + 1], entries[first]
    assert {Rule.HISTORY_GAP, Rule.TIME_BACKWARDS} <= rules(document)


def test_times_may_stand_still_and_never_go_back() -> None:
    document = receipt(S.PENDING, S.PROCESSING, S.PENDING)
    document["history"][1]["at"] = AT
    assert history.step_back(document) is None
    document["history"][1]["at"] = AT - timedelta(milliseconds=1)
    assert history.step_back(document) == "entry 2 is 0.001 s older than the one before"


def test_a_write_after_the_end_is_found_to_the_millisecond() -> None:
    document = receipt(S.PENDING, S.CANCELED)
    assert history.changed_end(document) is None
    late = document | {"updated_at": document["ended_at"] + timedelta(milliseconds=1)}
    assert history.changed_end(late) == "it was written 0.001 s after its end"


def attempts(count: int, **changes: Any) -> Document:
    return receipt(S.PENDING, *[S.PROCESSING, S.PENDING] * count, **changes)


def test_attempts_that_ended_without_a_fault_do_not_count() -> None:
    assert history.excess_attempt(attempts(3, max_attempts=3)) is None
    assert history.excess_attempt(attempts(3, max_attempts=2)) == "3 attempts of 2"
    assert history.excess_attempt(attempts(3, max_attempts=2, returns=1)) is None
    assert history.attempt_gap(attempts(3, returns=3)) is None
    assert history.attempt_gap(attempts(3, returns=4)) is not None


def test_conclusions_are_bounded_like_attempts() -> None:
    parts = {"units": 1, "called_at": AT}
    document = receipt(S.PENDING, S.PROCESSING, max_attempts=2)
    assert history.excess_attempt(document | {"fan_out": {**parts, "conclusions": 2}}) is None
    assert history.excess_attempt(document | {"fan_out": {**parts, "conclusions": 3}}) is not None


def test_a_second_claim_is_two_leases_and_no_other_rule() -> None:
    assert rules(receipt(S.PENDING, S.PROCESSING, S.PROCESSING)) == {Rule.TWO_LEASES}


def test_a_parent_whose_children_work_needs_no_lease() -> None:
    document = receipt(S.PENDING, S.PROCESSING, lease=None)
    assert lease.missing_lease(document) == "nobody has a lease on it"
    parts = {"units": 1, "conclusions": 0, "called_at": AT}
    assert lease.missing_lease(document | {"fan_out": parts}) is None


def test_an_older_receipt_lacks_what_came_later() -> None:
    document = receipt(S.PENDING, S.PROCESSING)
    for name in ("suspension", "returns", "last_token"):
        del document[name]
    assert receipt_flaw(document) is None
    assert rules(document) == set()


def test_what_cannot_be_read_is_named() -> None:
    cases: Sequence[tuple[Document, str]] = (
        ({"attempt": True}, "'attempt' is bool"),
        ({"created_at": "today"}, "'created_at' is str"),
        ({"status": "RESTING"}, "its status is 'RESTING'"),
        ({"lease": {"token": "t"}}, "it has no 'worker' in 'lease'"),
        ({"history": ["PENDING"]}, "entry 1 is str"),
        ({"history": [{"seq": 1}]}, "it has no 'from' in entry 1"),
        ({"parent_task_id": "tsk_b"}, "it has no 'ordinal'"),
    )
    for changes, flaw in cases:
        assert receipt_flaw(receipt(S.PENDING) | changes) == flaw
    lacking = receipt(S.PENDING)
    del lacking["version"]
    assert receipt_flaw(lacking) == "it has no 'version'"
