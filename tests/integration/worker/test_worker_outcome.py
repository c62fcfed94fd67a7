"""How jobs end on real workers, and what their receipts then say."""

import json
from typing import Any

import pytest

from app.receipts.cache import KEY_PREFIX
from app.receipts.receipt import Receipt
from tests.integration.receipts import check_document
from tests.integration.worker.fleet import LEASE_S, Desk, gate_name
from tests.polling import poll


def test_every_worker_answers(desk: Desk, celery_setup: Any) -> None:
    assert len(celery_setup.worker_cluster) == 2
    replies = desk.celery.control.ping(timeout=3)
    names = {name for reply in replies or [] for name in reply}
    assert {node.hostname() for node in celery_setup.worker_cluster} <= names


def test_a_job_completes(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_count", "a", "b"))
    assert (receipt.status, receipt.attempt) == ("COMPLETED", 1)
    assert receipt.outputs == [{"inputs": ["a", "b"], "n": 2}]
    assert receipt.job_id is not None
    assert desk.steps(receipt) == [("PENDING", 0), ("PROCESSING", 1), ("COMPLETED", 1)]
    assert len(desk.effects(receipt)) == 1
    check_document(desk.document(receipt))


@pytest.mark.parametrize("inputs", [(3,), (3, "own")])
def test_a_transient_error_is_tried_again(desk: Desk, inputs: tuple[object, ...]) -> None:
    receipt = desk.ended(desk.submit("test_flaky", *inputs))
    assert (receipt.status, receipt.outputs, receipt.error_message) == ("COMPLETED", [3], None)
    once = [("PROCESSING", 1), ("PENDING", 1), ("PROCESSING", 2), ("PENDING", 2)]
    assert desk.steps(receipt) == [("PENDING", 0), *once, ("PROCESSING", 3), ("COMPLETED", 3)]
    for entry in desk.history(receipt):
        if entry["from"] == "PROCESSING" and entry["to"] == "PENDING":
            assert entry["reason"] in (
                "The server is away.",
                "BusyError: the printer is busy",
            )
            assert "Traceback" in entry["traceback"]
    check_document(desk.document(receipt))


def test_after_the_last_attempt_a_transient_error_is_final(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_flaky", 9, max_attempts=2))
    assert (receipt.status, receipt.attempt) == ("FAILED", 2)
    assert receipt.error_message == "The server is away."
    assert len(desk.effects(receipt)) == 2


@pytest.mark.parametrize(
    ("how", "message"),
    [("permanent", "The file is no image."), ("bug", "ValueError: bad row")],
)
def test_a_permanent_error_fails_at_once_with_one_sentence(
    desk: Desk, how: str, message: str
) -> None:
    receipt = desk.ended(desk.submit("test_broken", how))
    assert (receipt.status, receipt.attempt, receipt.error_message) == ("FAILED", 1, message)
    assert len(desk.effects(receipt)) == 1
    last = desk.history(receipt)[-1]
    assert last["reason"] == message
    assert "Traceback" in last["traceback"]
    assert ("hidden cause" in last["traceback"]) == (how == "bug")
    assert "Traceback" not in json.dumps(receipt.to_json())


def test_nothing_to_do_is_no_failure(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_broken", "skip"))
    assert (receipt.status, receipt.error_message) == ("SKIPPED", None)
    assert "There is nothing to do." in json.dumps(receipt.outputs)


@pytest.mark.parametrize("kind", ["set", "object", "int", "key"])
def test_an_output_that_cannot_be_stored_fails_at_once_and_says_so(desk: Desk, kind: str) -> None:
    receipt = desk.ended(desk.submit("test_odd_output", kind))
    assert (receipt.status, receipt.attempt) == ("FAILED", 1), receipt.error_message
    assert receipt.error_message
    assert "lost" not in receipt.error_message


def test_a_message_that_is_no_unicode_fails_at_once_all_the_same(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_broken", "surrogate"))
    assert (receipt.status, receipt.attempt) == ("FAILED", 1), receipt.error_message
    assert receipt.error_message is not None
    assert receipt.error_message.startswith("ValueError: no such file: b")


def test_a_job_that_exits_ends_its_task(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_broken", "exit", max_attempts=1))
    assert receipt.status == "FAILED"


def test_an_abort_between_two_turns_ends_the_task(desk: Desk) -> None:
    receipt = desk.submit("test_patient")
    desk.began(receipt)
    desk.kill(receipt)
    ended = desk.ended(receipt)
    assert (ended.status, ended.error_message) == ("CANCELED", None)
    assert ended.cancellation is not None
    assert (ended.cancellation.actor, ended.cancellation.reason) == ("key:test", "dear")
    assert ended.cancellation.outcome is not None
    assert "while it ran" in ended.cancellation.outcome
    assert desk.steps(receipt) == [("PENDING", 0), ("PROCESSING", 1), ("CANCELED", 1)]
    check_document(desk.document(receipt))


def test_celerys_own_is_aborted_reads_the_receipt(desk: Desk) -> None:
    receipt = desk.submit("test_patient", "self")
    desk.began(receipt)
    desk.kill(receipt)
    ended = desk.ended(receipt)
    assert (ended.status, ended.outputs) == ("COMPLETED", ["saw it and went on"])
    assert ended.cancellation is not None
    assert ended.cancellation.outcome is not None


def test_a_task_canceled_before_it_started_never_runs(desk: Desk) -> None:
    receipt = desk.create("test_count")
    desk.kill(receipt)
    ended = desk.ended(receipt)
    assert ended.status == "CANCELED"
    assert desk.ledger.publisher.publish(receipt)
    after = desk.submit("test_count")
    desk.ended(after)
    assert desk.effects(receipt) == []


def test_messages_for_one_task_run_it_once_however_many_there_are(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_gated", gate)
    for _ in range(10):
        assert desk.ledger.publisher.publish(receipt)
    desk.began(receipt)
    for _ in range(10):
        assert desk.ledger.publisher.publish(receipt)
    desk.open(gate)
    ended = desk.ended(receipt)
    poll(
        lambda: desk.ledger.publisher.depth(receipt.queue) == 0,
        description="the other messages are used up",
        within_s=30,
    )
    desk.ended(desk.submit("test_count"))
    assert [each["what"] for each in desk.effects(receipt)] == ["began", "ended"]
    assert desk.document(receipt) == desk.document(ended)
    assert desk.steps(receipt) == [("PENDING", 0), ("PROCESSING", 1), ("COMPLETED", 1)]


def test_a_job_that_holds_the_gil_for_longer_than_its_lease_keeps_it(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_deaf", LEASE_S + 2))
    assert (receipt.status, receipt.attempt, receipt.outputs) == ("COMPLETED", 1, [1])
    assert [each["what"] for each in desk.effects(receipt)] == ["began", "ended"]


def test_a_job_that_looks_for_its_end_and_reports_is_seen_to_move(desk: Desk) -> None:
    receipt = desk.submit("test_steady", 200)
    seen: set[int] = set()

    def done() -> Receipt | None:
        now = desk.ledger.receipts.get(receipt.task_id)
        if now.progress is not None:
            seen.add(now.progress.done)
        return now if now.is_terminal else None

    ended = poll(done, description="the job ends", within_s=60)
    assert ended.progress is not None
    assert (ended.progress.done, ended.progress.percent) == (200, 100.0)
    assert len(seen - {0, 200}) >= 2, f"a job of four seconds was seen at {sorted(seen)} only"


def test_the_next_attempt_goes_on_from_the_checkpoint(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_resuming", 8))
    assert (receipt.status, receipt.attempt, receipt.outputs) == ("COMPLETED", 2, [4, 8])
    steps = [each["what"] for each in desk.effects(receipt)]
    assert steps == [f"step {number}" for number in range(1, 9)]
    assert receipt.progress is not None
    assert receipt.progress.percent == 100.0


def test_what_workers_serve_is_registered(desk: Desk) -> None:
    types = poll(
        lambda: found if "test_spread" in (found := desk.ledger.job_types.all()) else {},
        description="a worker registers its jobs",
        within_s=20,
    )
    assert types["test_count"].submittable
    assert types["test_count"].max_attempts == 3
    assert not types["test_spread.piece"].submittable
    assert desk.ledger.pulse.age() is not None or poll(
        desk.ledger.pulse.age, description="Beat is heard", within_s=20
    )


def test_every_copy_that_workers_write_expires(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_count"))
    backend: Any = desk.celery.backend
    redis = backend.client
    keys = list(redis.scan_iter("waybill:*"))
    assert (KEY_PREFIX + receipt.task_id).encode() in keys
    assert all(0 < redis.ttl(key) <= 86_400 for key in keys if redis.type(key) == b"hash")
