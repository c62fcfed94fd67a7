"""The reckoning passes a faultless run, and each kind of violation is found."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.database import Document
from tests.chaos import jobs
from tests.chaos.stored import Stored
from tests.chaos.tally import BATCH, Order, Tally
from tests.chaos.verdict import judge

AT = datetime(2026, 1, 1, tzinfo=UTC)


def receipt(task_id: str, tag: str, task_type: str = jobs.STEPS, **more: Any) -> Document:
    """A COMPLETED task of two steps."""
    return {
        "_id": task_id,
        "task_type": task_type,
        "status": "COMPLETED",
        "inputs": [2],
        "outputs": [{"steps": 2}],
        "additional_data": {"tag": tag},
        "cancellation": None,
        "error_message": None,
        "namespace_id": "ns_a",
        "parent_task_id": None,
        "attempt": 1,
        "history": [],
        **more,
    }


def asked(reason: str | None, outcome: str | None = "it ended") -> Document:
    return {"reason": reason, "outcome": outcome, "requested_at": AT, "actor": "key:x"}


@pytest.fixture
def tally() -> Tally:
    """One task of two steps was ordered and accepted."""
    made = Tally()
    made.order([Order("a", jobs.STEPS, [2])])
    made.accept("tsk_a", "a")
    return made


def stored(*receipts: Document, effects: dict[str, int] | None = None) -> Stored:
    """The receipts, the first one's effects, and nothing else."""
    first = {receipts[0]["_id"]: effects or {"0": 1, "1": 1}} if receipts else {}
    return Stored({row["_id"]: row for row in receipts}, first, Counter(), [], {"ns_a": 1})


def test_a_faultless_run_has_no_findings(tally: Tally) -> None:
    assert list(judge(stored(receipt("tsk_a", "a")), tally)) == []


@pytest.mark.parametrize(
    ("more", "effects", "finding"),
    [
        ({"status": "PENDING"}, {"0": 1}, "has not ended"),
        ({}, {"0": 1}, "COMPLETED with effects"),
        ({}, {"0": 1, "1": 2}, "more than once"),
        ({"status": "CANCELED"}, {"0": 2}, "more than once"),
        ({"status": "CANCELED"}, {"0": 1}, "without a cancellation"),
        ({"status": "CANCELED", "cancellation": asked("not ours")}, {"0": 1}, "nobody asked"),
        ({"cancellation": asked("ours", outcome=None)}, None, "no outcome"),
        ({"status": "FAILED", "error_message": "TypeError: no"}, {"0": 1}, "FAILED"),
        ({"status": "SKIPPED"}, {"0": 1}, "SKIPPED"),
    ],
)
def test_a_flaw_of_a_receipt_is_found(
    tally: Tally, more: dict[str, Any], effects: dict[str, int] | None, finding: str
) -> None:
    tally.try_kill("ours")
    found = list(judge(stored(receipt("tsk_a", "a", **more), effects=effects), tally))
    assert [one for one in found if finding in one], found


def test_a_lost_task_is_found(tally: Tally) -> None:
    (found,) = judge(stored(), tally)
    assert "is lost" in found


def test_a_task_that_was_made_twice_is_found(tally: Tally) -> None:
    twin = receipt("tsk_b", "a", task_type=jobs.BLIND)
    (found,) = judge(stored(receipt("tsk_a", "a"), twin), tally)
    assert "carried out 2 times" in found


def test_a_task_that_nobody_asked_for_is_found(tally: Tally) -> None:
    stranger = receipt("tsk_b", "z", task_type=jobs.BLIND)
    (found,) = judge(stored(receipt("tsk_a", "a"), stranger), tally)
    assert "nobody asked for ['tsk_b']" in found


def test_a_forgotten_kill_is_found(tally: Tally) -> None:
    tally.kill("tsk_a", "PROCESSING")
    (found,) = judge(stored(receipt("tsk_a", "a")), tally)
    assert "forgotten" in found


def test_a_worker_lost_each_time_is_an_end(tally: Tally) -> None:
    lost = receipt("tsk_a", "a", status="FAILED", error_message="The worker w was lost …")
    assert list(judge(stored(lost), tally)) == []


def test_a_batch_with_a_document_too_few_is_found(tally: Tally) -> None:
    tally.order([Order("btch_b", BATCH, ["obj_1", "obj_2"])])
    tally.accept("tsk_b", "btch_b")
    batch = receipt("tsk_b", "", BATCH, additional_data={"batch_id": "btch_b"})
    batch["outputs"] = [{"succeeded": 2}]
    have = stored(receipt("tsk_a", "a"), batch)
    have.documents.update(["obj_1", "obj_2"])
    assert list(judge(have, tally)) == []
    have.documents["obj_2"] = 0
    (found,) = judge(have, tally)
    assert "obj_2" in found


def test_an_end_that_is_taken_back_is_found(tally: Tally) -> None:
    now_s = time.monotonic()
    tally.read("tsk_a", "COMPLETED", asked_s=now_s)
    tally.read("tsk_a", "PROCESSING", asked_s=now_s + 1)  # an old copy, which may be believed
    assert tally.findings == []
    tally.read("tsk_a", "PROCESSING", asked_s=now_s + 60)
    (found,) = tally.findings
    assert "read as PROCESSING" in found


def test_an_end_that_becomes_another_is_found(tally: Tally) -> None:
    tally.read("tsk_a", "CANCELED", asked_s=time.monotonic())
    tally.read("tsk_a", "COMPLETED", asked_s=time.monotonic())
    assert len(tally.findings) == 1


def test_a_quota_that_was_exceeded_is_found(tally: Tally) -> None:
    def ran(task_id: str, tag: str, start_s: int, end_s: int) -> Document:
        steps = [(0, "PENDING"), (start_s, "PROCESSING"), (end_s, "COMPLETED")]
        history = [{"to": to, "at": AT + timedelta(seconds=at_s)} for at_s, to in steps]
        return receipt(task_id, tag, jobs.BLIND, history=history)

    tally.order([Order("b", jobs.BLIND, [2])])
    tally.accept("tsk_b", "b")
    after = stored(ran("tsk_a", "a", 1, 2), ran("tsk_b", "b", 2, 3))
    assert not [found for found in judge(after, tally) if "at once" in found]
    beside = stored(ran("tsk_a", "a", 1, 3), ran("tsk_b", "b", 2, 3))
    assert [found for found in judge(beside, tally) if "at once" in found] == [
        "2 tasks of ns_a ran at once, and 1 may"
    ]
