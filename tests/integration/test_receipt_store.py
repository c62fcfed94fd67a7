"""Receipts in MongoDB: created, claimed, reported on, ended, each in one guarded write."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import BulkWriteError

from app.errors import NotFoundError, PermanentError
from app.receipts.cache import render
from app.receipts.ledger import Ledger
from app.receipts.progress import advance, begin
from app.receipts.receipt import NO_PLACE, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
from tests.integration.receipts import (
    COMPLETED,
    at_once,
    check_document,
    claim,
    create,
    expired,
    holder,
    moves,
    new_task,
    stored,
)
from tests.integration.receipts import brief as brief_leases

AT = datetime(2026, 1, 1, tzinfo=UTC)
TERMINAL_ORDER = sorted(TERMINAL)
RETRY = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1", reason="busy")
# What a user may send or a job may say, in the hope that MongoDB takes it for code.
ODD: list[Any] = [
    "$status",
    "$$ROOT",
    "$$NOW",
    {"$literal": 1},
    {"$add": [1, 2]},
    {"$set": {"status": "COMPLETED"}},
    {"a.b": 1, "": 2, "$": 3},
    ["$inputs", ["$$REMOVE"]],
    "nul \x00 inside",
    None,
    {},
    [],
    2**63 - 1,
    -1.5,
    True,
]
VALUES = st.recursive(
    st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=5) | st.integers(-9, 9),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["$a", "a.b", "$literal", "c", ""]), children, max_size=3)
    ),
    max_leaves=8,
)


def give_back(ledger: Ledger, receipt: Receipt, by: Holder) -> Receipt | None:
    guard = {"lease.token": by.token}
    return ledger.receipts.requeue(receipt.task_id, RETRY, guard=guard)


def test_a_new_receipt_waits_and_says_who_made_it(ledger: Ledger) -> None:
    made = ledger.receipts.create([new_task(inputs=[index]) for index in range(3)])
    assert [receipt.inputs for receipt in made] == [[0], [1], [2]]
    assert sorted(receipt.task_id for receipt in made) == [receipt.task_id for receipt in made]
    for receipt in made:
        assert receipt.to_json() == ledger.receipts.get(receipt.task_id).to_json()
        assert (receipt.status, receipt.attempt, receipt.version) == ("PENDING", 0, 1)
        document = stored(ledger, receipt.task_id)
        check_document(document)
        assert document["history"][0]["actor"] == "key:test"


def test_one_task_from_start_to_end(ledger: Ledger) -> None:
    receipt = create(ledger)
    claimed, by = claim(ledger, receipt)
    assert (claimed.status, claimed.attempt, claimed.job_id) == ("PROCESSING", 1, by.job_id)
    assert claimed.lease_token == by.token
    assert claimed.started_at is not None
    progress = advance(begin(10, AT), done=4, total=10, errors=1, at=AT)
    reported = ledger.receipts.report(receipt.task_id, by.token, progress, checkpoint={"last": 4})
    assert reported is not None
    assert reported.progress == progress
    assert reported.checkpoint == {"last": 4}
    ended = ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    assert ended is not None
    assert (ended.status, ended.outputs) == ("COMPLETED", [{"n": 1}])
    assert [claimed.version, reported.version, ended.version] == [2, 3, 4]
    assert moves(ledger, receipt.task_id) == ["PENDING", "PROCESSING", "COMPLETED"]
    check_document(stored(ledger, receipt.task_id))


def test_a_report_without_a_checkpoint_keeps_the_last_one(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    progress = begin(10, AT)
    ledger.receipts.report(receipt.task_id, by.token, progress, checkpoint=[1])
    ledger.receipts.report(receipt.task_id, by.token, progress)
    assert give_back(ledger, receipt, by) is not None
    again, _ = claim(ledger, receipt)
    assert again.checkpoint == [1]
    assert again.progress == progress


def test_the_history_names_attempt_worker_and_reason(ledger: Ledger) -> None:
    receipt, first = claim(ledger, create(ledger), holder("w1"))
    started_at = receipt.started_at
    assert give_back(ledger, receipt, first) is not None
    receipt, second = claim(ledger, receipt, holder("w2"))
    failed = Ending(TaskStatusEnum.FAILED, error_message="No.", traceback="Traceback: secret")
    ended = ledger.receipts.finish(receipt.task_id, second.token, failed, worker="w2")
    assert ended is not None
    assert ended.started_at == started_at
    assert ended.error_message == "No."
    history = ledger.receipts.history(receipt.task_id, namespace_id="ns_test")
    kept = [
        (each["from"], each["to"], each["attempt"], each["worker"], each["actor"], each["reason"])
        for each in history
    ]
    assert kept == [
        (None, "PENDING", 0, None, "key:test", None),
        ("PENDING", "PROCESSING", 1, "w1", "worker:w1", None),
        ("PROCESSING", "PENDING", 1, None, "worker:w1", "busy"),
        ("PENDING", "PROCESSING", 2, "w2", "worker:w2", None),
        ("PROCESSING", "FAILED", 2, "w2", "worker:w2", "No."),
    ]
    assert [each["traceback"] for each in history] == [None, None, None, None, "Traceback: secret"]
    assert "secret" not in str(ended.to_json())


def test_a_task_given_back_is_refused_until_it_is_due(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    guard = {"lease.token": by.token}
    delay = timedelta(hours=1)
    assert ledger.receipts.requeue(receipt.task_id, RETRY, guard=guard, delay=delay) is not None
    before = stored(ledger, receipt.task_id)
    assert before["published_at"] is None
    due_in = before["not_before"] - before["updated_at"]
    assert due_in == delay
    assert ledger.receipts.claim(receipt.task_id, holder()) is None
    assert stored(ledger, receipt.task_id) == before


def test_thirty_two_race_for_a_task_and_one_wins(ledger: Ledger) -> None:
    for _ in range(8):
        receipt = create(ledger)
        holders = [holder(f"w{index}") for index in range(32)]

        def race(index: int, task_id: str = receipt.task_id, by: Any = holders) -> Receipt | None:
            return ledger.receipts.claim(task_id, by[index])

        claims = at_once(32, race)
        won = [index for index, claimed in enumerate(claims) if claimed is not None]
        assert len(won) == 1
        document = stored(ledger, receipt.task_id)
        assert document["lease"]["token"] == holders[won[0]].token
        assert document["attempt"] == 1
        check_document(document)


def test_a_claim_repeated_after_a_lost_answer_is_the_same_claim(ledger: Ledger) -> None:
    claimed, by = claim(ledger, create(ledger))
    before = stored(ledger, claimed.task_id)
    assert ledger.receipts.claim(claimed.task_id, by) == claimed
    assert stored(ledger, claimed.task_id) == before


def test_an_end_repeated_after_a_lost_answer_is_the_same_end(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    ended = ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    before = stored(ledger, receipt.task_id)
    again = ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    assert again == ended
    assert stored(ledger, receipt.task_id) == before


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_worker_cannot_end_its_task_twice_in_different_ways(
    ledger: Ledger, status: TaskStatusEnum
) -> None:
    receipt, by = claim(ledger, create(ledger))
    ledger.receipts.finish(receipt.task_id, by.token, Ending(status), worker=by.worker)
    before = stored(ledger, receipt.task_id)
    for other in TERMINAL - {status}:
        again = ledger.receipts.finish(receipt.task_id, by.token, Ending(other), worker=by.worker)
        assert again is None
    assert stored(ledger, receipt.task_id) == before


def test_sixteen_ends_with_one_token_make_one_end(ledger: Ledger) -> None:
    for _ in range(5):
        receipt, by = claim(ledger, create(ledger))

        def race(index: int, task_id: str = receipt.task_id, by: Holder = by) -> Receipt | None:
            ending = Ending(TERMINAL_ORDER[index % 4], outputs=[index])
            return ledger.receipts.finish(task_id, by.token, ending, worker=by.worker)

        told = {each.status for each in at_once(16, race) if each is not None}
        document = stored(ledger, receipt.task_id)
        assert told == {document["status"]}
        assert len(document["history"]) == 3
        check_document(document)


def stale(ledger: Ledger, how: str) -> tuple[str, Holder]:
    """A task that moved on without the holder of its first lease."""
    receipt = create(ledger, max_attempts=1 if how == "failed" else 3)
    brief = brief_leases(ledger)
    _, old = claim(brief, receipt)
    if how == "canceled":
        ledger.cancellations.request(receipt.task_id, actor="key:ops", reason=None)
    expired(ledger, receipt.task_id)
    if how in ("running", "completed"):
        _, new = claim(ledger, receipt, holder("w2"))
        if how == "completed":
            ledger.receipts.finish(receipt.task_id, new.token, COMPLETED, worker="w2")
    return receipt.task_id, old


@pytest.mark.parametrize("how", ["waiting", "running", "completed", "failed", "canceled"])
def test_a_stale_token_changes_nothing_and_is_told_so(ledger: Ledger, how: str) -> None:
    task_id, old = stale(ledger, how)
    before = stored(ledger, task_id)
    progress = begin(1, AT)
    receipt = ledger.receipts.get(task_id)
    assert ledger.receipts.report(task_id, old.token, progress, checkpoint=[9]) is None
    assert give_back(ledger, receipt, old) is None
    assert ledger.families.fan_out(receipt, old.token, units=1) is None
    assert ledger.families.release(task_id, old.token) is None
    for status in TERMINAL_ORDER:
        ending = Ending(status, outputs=["late"], error_message="late")
        answer = ledger.receipts.finish(task_id, old.token, ending, worker=old.worker)
        assert stored(ledger, task_id) == before
        assert answer is None, f"told that {status} was taken, though the task is {how}"


def test_a_stale_claim_takes_nothing(ledger: Ledger) -> None:
    task_id, old = stale(ledger, "running")
    before = stored(ledger, task_id)
    assert ledger.receipts.claim(task_id, old) is None
    assert stored(ledger, task_id) == before


def test_the_end_says_how_a_cancellation_came_out(ledger: Ledger) -> None:
    for outcome, expected in [("stopped", "stopped"), (None, "the job ended before it could be")]:
        receipt, by = claim(ledger, create(ledger))
        ledger.cancellations.request(receipt.task_id, actor="key:ops", reason="$status")
        ending = replace(COMPLETED, outcome=outcome)
        ended = ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)
        assert ended is not None
        assert ended.cancellation is not None
        assert ended.cancellation.outcome is not None
        assert expected in ended.cancellation.outcome
        assert (ended.cancellation.actor, ended.cancellation.reason) == ("key:ops", "$status")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=VALUES, text=st.sampled_from(["$status", "$$ROOT.inputs", "${x}", "plain"]))
def test_what_people_say_is_stored_as_they_say_it(ledger: Ledger, value: Any, text: str) -> None:
    receipt = create(ledger, inputs=[value], additional_data={"data": value}, actor=text)
    assert (receipt.inputs, receipt.additional_data) == ([value], {"data": value})
    by = Holder(token=text + receipt.task_id, worker=text, keeper=text, job_id=text)
    claim(ledger, receipt, by)
    reported = ledger.receipts.report(
        receipt.task_id, by.token, begin(1, AT), checkpoint={"state": value}
    )
    assert reported is not None
    assert reported.checkpoint == {"state": value}
    ledger.cancellations.request(receipt.task_id, actor=text, reason=text)
    ending = Ending(
        TaskStatusEnum.FAILED,
        outputs=[value],
        error_message=text,
        traceback=text,
        outcome=text,
    )
    ended = ledger.receipts.finish(receipt.task_id, by.token, ending, worker=text)
    assert ended is not None
    assert ended.outputs == [value]
    assert ended.error_message == text
    assert ended == ledger.receipts.get(receipt.task_id)
    document = stored(ledger, receipt.task_id)
    check_document(document)
    last = document["history"][-1]
    assert [last[key] for key in ("worker", "reason", "traceback")] == [text] * 3
    assert document["history"][0]["actor"] == text
    assert document["job_id"] == text
    assert document["cancellation"]["reason"] == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), datetime(2026, 1, 1, tzinfo=UTC), b"bytes"]
)
def test_an_output_that_json_does_not_have_leaves_the_task_readable(
    ledger: Ledger, value: object
) -> None:
    """It is refused before anything is written; the same attempt can end in another way."""
    receipt, by = claim(ledger, create(ledger))
    before = stored(ledger, receipt.task_id)
    ending = Ending(TaskStatusEnum.COMPLETED, outputs=[{"value": value}])
    with pytest.raises(PermanentError, match="What the job returned"):
        ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)
    progress = begin(None, datetime.now(UTC))
    with pytest.raises(PermanentError, match="The job's checkpoint"):
        ledger.receipts.report(receipt.task_id, by.token, progress, checkpoint={"value": value})
    assert stored(ledger, receipt.task_id) == before
    ending = Ending(TaskStatusEnum.FAILED, error_message="no JSON")
    ended = ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)
    assert ended is not None
    body = render(ledger.receipts.get(receipt.task_id), place=NO_PLACE, from_mongodb=True)
    answer = json.loads(body, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert answer["status"] == "FAILED"


def test_a_namespace_sees_its_own_tasks_only(ledger: Ledger) -> None:
    receipt = create(ledger, namespace_id="ns_mine")
    for theirs in ("ns_theirs", "", "$namespace_id"):
        assert ledger.receipts.find(receipt.task_id, namespace_id=theirs) is None
        with pytest.raises(NotFoundError) as refused:
            ledger.receipts.get(receipt.task_id, namespace_id=theirs)
        with pytest.raises(NotFoundError):
            ledger.receipts.history(receipt.task_id, namespace_id=theirs)
        with pytest.raises(NotFoundError) as unknown:
            ledger.receipts.get("tsk_none", namespace_id=theirs)
        # The two are never told apart.
        assert str(refused.value).replace(receipt.task_id, "") == str(unknown.value).replace(
            "tsk_none", ""
        )
    mine = ledger.receipts.get(receipt.task_id, namespace_id="ns_mine")
    assert mine.to_json() == receipt.to_json()
    assert len(ledger.receipts.history(receipt.task_id, namespace_id="ns_mine")) == 1


def test_nothing_is_claimed_reported_or_ended_that_never_was(ledger: Ledger) -> None:
    assert ledger.receipts.claim("tsk_none", holder()) is None
    assert ledger.receipts.report("tsk_none", "t", begin(1, AT)) is None
    assert ledger.receipts.finish("tsk_none", "t", COMPLETED, worker="w") is None
    assert ledger.receipts.tasks.count_documents({}) == 0


def test_a_repeat_of_ensure_indexes_is_harmless(ledger: Ledger) -> None:
    ledger.receipts.ensure_indexes()
    before = ledger.receipts.tasks.index_information()
    at_once(4, lambda _: ledger.receipts.ensure_indexes())
    assert ledger.receipts.tasks.index_information() == before
    expiry = [each for each in before.values() if each["key"] == [("expire_at", 1)]]
    assert [each["expireAfterSeconds"] for each in expiry] == [0]


def test_of_many_receipts_all_are_stored_or_none(ledger: Ledger) -> None:
    create(ledger)
    tasks = ledger.receipts.tasks
    tasks.database.command("collMod", tasks.name, validator={"inputs": {"$ne": "refused"}})
    inputs = [["a"], ["b"], ["refused"], ["c"]]
    with pytest.raises(BulkWriteError):
        ledger.receipts.create([new_task(inputs=each) for each in inputs])
    assert tasks.count_documents({}) == 1
    assert len(ledger.receipts.create([new_task(inputs=each) for each in inputs[:2]])) == 2
    assert tasks.count_documents({}) == 3
