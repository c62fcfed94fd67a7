"""Workers that are told to stop, in each of Celery's ways: nothing is lost or done twice."""

from contextlib import AbstractContextManager

from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from tests.integration.receipts import check_document
from tests.integration.worker.celery_process import WorkerContainer
from tests.integration.worker.fleet import MOVED_ON_WITHIN_S, SLOTS, Desk, gate_name
from tests.polling import poll

STEPS = 6
QUEUE = "test.shutdown"


def once_each(desk: Desk, receipt: Receipt, steps: int = STEPS) -> bool:
    """Whether each committed step of a test_stepping is stored once."""
    done = [each["what"] for each in desk.effects(receipt) if each["what"].startswith("step")]
    return done == [f"step {number}" for number in range(1, steps + 1)]


def running(desk: Desk, receipts: list[Receipt]) -> dict[str, str]:
    """The workers of those that have begun, by task."""
    return {each["task_id"]: each["worker"] for one in receipts for each in desk.effects(one)}


def test_a_job_that_checkpoints_is_given_back_and_costs_no_attempt(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_stepping", STEPS, {"3": gate}, max_attempts=1)
    (first,) = desk.began(receipt, "waits before 3")
    worker = desk.fleet.worker_of(first["worker"])
    worker.kill("SIGTERM")
    worker.says("Warm shutdown")
    desk.open(gate)
    ended = desk.ended(receipt)
    assert (ended.status, ended.returns, ended.outputs) == ("COMPLETED", 1, [3, STEPS])
    assert desk.steps(receipt) == [
        ("PENDING", 0),
        ("PROCESSING", 1),
        ("PENDING", 1),
        ("PROCESSING", 2),
        ("COMPLETED", 2),
    ]
    back = desk.history(receipt)[2]
    assert back["worker"] == first["worker"]
    assert first["worker"] in back["reason"]
    assert once_each(desk, receipt)
    check_document(desk.document(receipt))
    worker.ends()


def test_what_a_stopping_worker_had_fetched_runs_elsewhere(desk: Desk) -> None:
    gate = gate_name()
    receipts = [desk.submit("test_gated", gate) for _ in range(8)]
    began = poll(
        lambda: len(now := running(desk, receipts)) == SLOTS * 2 and now,
        description="all slots of the fleet are taken",
        within_s=MOVED_ON_WITHIN_S,
    )
    name = next(iter(began.values()))
    worker = desk.fleet.worker_of(name)
    worker.kill("SIGTERM")
    worker.says("Warm shutdown")
    desk.open(gate)
    for receipt in receipts:
        ended = desk.ended(receipt)
        assert (ended.status, ended.attempt) == ("COMPLETED", 1)
        assert [each["what"] for each in desk.effects(receipt)] == ["began", "ended"]
        if receipt.task_id not in began:
            assert desk.effects(receipt)[0]["worker"] != name
    worker.ends()


def test_a_cold_shutdown_costs_an_attempt_and_no_step(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_stepping", STEPS, {"3": gate})
    (first,) = desk.began(receipt, "waits before 3")
    worker = desk.fleet.worker_of(first["worker"])
    worker.kill("SIGTERM")
    worker.says("Warm shutdown")
    worker.kill("SIGQUIT")
    worker.ends()
    _, second = desk.began(receipt, "waits before 3", times=2)
    assert second["worker"] != first["worker"]
    desk.open(gate)
    ended = desk.ended(receipt)
    assert (ended.status, ended.attempt, ended.returns) == ("COMPLETED", 2, 0)
    assert ended.outputs == [2, STEPS]
    assert once_each(desk, receipt)


def soft_worker(desk: Desk, *, timeout_s: int) -> AbstractContextManager[WorkerContainer]:
    """A worker whose SIGTERM leaves its jobs that long."""
    return desk.fleet.worker(
        "soft",
        queue=QUEUE,
        slots=1,
        env={"REMAP_SIGTERM": "SIGQUIT"},
        overrides=(f"worker.soft_shutdown_timeout={timeout_s}",),
    )


def test_a_soft_shutdown_lets_a_job_checkpoint(desk: Desk) -> None:
    gate = gate_name()
    with soft_worker(desk, timeout_s=600) as worker:
        receipt = desk.submit("test_stepping", STEPS, {"3": gate}, max_attempts=1, queue=QUEUE)
        desk.began(receipt, "waits before 3")
        worker.kill("SIGTERM")
        worker.says("Initiating Soft Shutdown")
        desk.open(gate)
        assert desk.reached(receipt, TaskStatusEnum.PENDING).returns == 1
        worker.kill()
        worker.restart()
        ended = desk.ended(receipt)
        assert (ended.status, ended.attempt, ended.outputs) == ("COMPLETED", 2, [3, STEPS])
        assert once_each(desk, receipt)


def test_a_soft_shutdown_loses_nothing_when_its_time_is_up(desk: Desk) -> None:
    gate = gate_name()
    with soft_worker(desk, timeout_s=1) as worker:
        receipt = desk.submit("test_stepping", STEPS, {"3": gate}, queue=QUEUE)
        waiting = desk.submit("test_count", queue=QUEUE)
        desk.began(receipt, "waits before 3")
        worker.kill("SIGTERM")
        worker.says("Initiating Soft Shutdown")
        worker.ends()
        desk.open(gate)
        worker.restart()
        ended = desk.ended(receipt)
        assert (ended.status, ended.attempt, ended.outputs) == ("COMPLETED", 2, [2, STEPS])
        assert once_each(desk, receipt)
        assert desk.ended(waiting).attempt == 1
