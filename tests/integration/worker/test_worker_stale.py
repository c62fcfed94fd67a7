"""Workers that lost their leases and live on: what they still do counts for nothing, and ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psutil

from app.receipts.cancellation import UNREACHABLE, CancellationStore
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from tests.integration.receipts import check_document
from tests.integration.worker.celery_process import WorkerContainer
from tests.integration.worker.fleet import MOVED_ON_WITHIN_S, SLOTS, Desk, gate_name
from tests.polling import poll

STEPS = 4
LONG = timedelta(hours=1)
OVER = timedelta(milliseconds=-1)


@contextmanager
def nobody_reaps(desk: Desk) -> Iterator[None]:
    """Beat is frozen within the block, so that nothing in it is a race with the reaper."""
    desk.fleet.beat.kill("SIGSTOP")
    yield
    desk.fleet.beat.kill("SIGCONT")


def beside(desk: Desk, worker: WorkerContainer) -> tuple[Receipt, str]:
    """A task that runs on this very worker, and its gate; all others of the fleet have ended."""
    gates = [gate_name() for _ in range(3 * SLOTS)]
    receipts = [desk.submit("test_gated", gate) for gate in gates]

    def on_it() -> list[int]:
        began = [desk.effects(receipt) for receipt in receipts]
        return [n for n, each in enumerate(began) if each and is_of(worker, each[0]["worker"])]

    (index,) = poll(on_it, description=f"{worker.name} runs one", within_s=MOVED_ON_WITHIN_S)
    other, gate = receipts.pop(index), gates.pop(index)
    for each in gates:
        desk.open(each)
    for receipt in receipts:
        desk.ended(receipt)
    return other, gate


def is_of(worker: WorkerContainer, hostname: str) -> bool:
    return hostname.startswith(f"{worker.name}@")


def test_a_worker_that_wakes_up_ends_what_it_lost_and_leaves_the_other_alone(desk: Desk) -> None:
    lost = desk.submit("test_stuck")
    (first,) = desk.began(lost)
    worker = desk.fleet.worker_of(first["worker"])
    other, gate = beside(desk, worker)
    child = psutil.Process(first["pid"])
    with nobody_reaps(desk):
        worker.kill_first(signal.SIGSTOP)
        desk.lease_lasts(other, LONG)
    ended = desk.ended(lost)
    assert (ended.status, ended.attempt, ended.outputs) == ("COMPLETED", 2, [2])
    assert child.is_running()
    before = desk.document(lost)
    worker.kill_first(signal.SIGCONT)
    poll(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE,
        description="the process that works for nobody is ended",
        within_s=MOVED_ON_WITHIN_S,
    )
    desk.open(gate)
    undisturbed = desk.ended(other)
    assert (undisturbed.status, undisturbed.attempt) == ("COMPLETED", 1)
    assert desk.document(lost) == before
    assert [each["what"] for each in desk.effects(lost)] == ["began", "began"]
    assert worker.status == "running"


def test_a_stale_commit_stores_nothing_and_ends_its_job(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_stepping", STEPS, {"2": gate})
    (first,) = desk.began(receipt, "waits before 2")
    worker = desk.fleet.worker_of(first["worker"])
    worker.kill_first(signal.SIGSTOP)
    _, second = desk.began(receipt, "waits before 2", times=2)
    assert second["worker"] != first["worker"]
    desk.open(gate)
    worker.says("task.lease_lost")
    ended = desk.ended(receipt)
    assert (ended.status, ended.attempt) == ("COMPLETED", 2)
    steps = [each for each in desk.effects(receipt) if each["what"].startswith("step")]
    assert [each["what"] for each in steps] == [f"step {n}" for n in range(1, STEPS + 1)]
    assert [each["attempt"] for each in steps] == [1, *[2] * (STEPS - 1)]
    check_document(desk.document(receipt))


def test_a_worker_that_does_not_answer_is_named_unreachable_until_its_lease_ends(
    desk: Desk,
) -> None:
    gate = gate_name()
    receipt = desk.submit("test_gated", gate)
    (first,) = desk.began(receipt)
    worker = desk.fleet.worker_of(first["worker"])
    with nobody_reaps(desk):
        worker.kill("SIGSTOP")
        desk.lease_lasts(receipt, LONG)
    ledger = desk.ledger
    at_once = CancellationStore(ledger.receipts, ledger.families, grace=timedelta(0))
    at_once.request(receipt.task_id, actor="key:test", reason=None)

    def outcome() -> str | None:
        cancellation = ledger.receipts.get(receipt.task_id).cancellation
        return cancellation.outcome if cancellation else None

    said = poll(outcome, description="the outcome so far", within_s=MOVED_ON_WITHIN_S)
    assert said == UNREACHABLE
    assert ledger.receipts.get(receipt.task_id).status is TaskStatusEnum.PROCESSING
    desk.lease_lasts(receipt, OVER)
    ended = desk.ended(receipt)
    assert ended.status == "CANCELED"
    assert outcome() == "its worker was lost"
    desk.open(gate)
