"""Workers, brokers and Beat that die at the wrong moment: every task still ends, once."""

from tests.integration.receipts import check_document
from tests.integration.worker.fleet import MOVED_ON_WITHIN_S, Desk, gate_name
from tests.polling import poll


def test_a_worker_killed_in_the_middle_costs_an_attempt_and_no_task(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_gated", gate)
    (first,) = desk.began(receipt)
    killed = desk.fleet.worker_of(first["worker"])
    killed.kill()
    assert killed.status == "exited"
    _, second = desk.began(receipt, times=2)
    assert (second["attempt"], second["worker"] != first["worker"]) == (2, True)
    desk.open(gate)
    ended = desk.ended(receipt)
    assert (ended.status, ended.outputs) == ("COMPLETED", ["attempt 2"])
    assert desk.steps(receipt) == [
        ("PENDING", 0),
        ("PROCESSING", 1),
        ("PENDING", 1),
        ("PROCESSING", 2),
        ("COMPLETED", 2),
    ]
    lost = desk.history(receipt)[2]
    assert (lost["actor"], lost["worker"]) == ("reaper", first["worker"])
    assert [each["what"] for each in desk.effects(receipt)] == ["began", "began", "ended"]
    check_document(desk.document(receipt))


def test_a_task_whose_workers_are_all_lost_fails_and_names_the_last(desk: Desk) -> None:
    receipt = desk.submit("test_gated", gate_name(), max_attempts=1)
    (first,) = desk.began(receipt)
    desk.fleet.worker_of(first["worker"]).kill()
    ended = desk.ended(receipt)
    assert (ended.status, ended.attempt) == ("FAILED", 1)
    assert ended.error_message is not None
    assert first["worker"] in ended.error_message


def test_a_child_process_that_dies_costs_an_attempt_only(desk: Desk) -> None:
    receipt = desk.ended(desk.submit("test_suicide"))
    assert (receipt.status, receipt.attempt, receipt.outputs) == ("COMPLETED", 2, [2])
    assert len(desk.effects(receipt)) == 2


def test_a_child_process_that_dies_within_a_transaction_costs_an_attempt_only(desk: Desk) -> None:
    """Its receipt is locked until MongoDB gives the transaction up, well within a minute."""
    receipt = desk.ended(desk.submit("test_suicide_in_step"), within_s=50)
    assert (receipt.status, receipt.attempt, receipt.outputs) == ("COMPLETED", 2, [2])
    assert [each["attempt"] for each in desk.effects(receipt)] == [2]


def test_a_frozen_worker_that_wakes_up_late_changes_nothing(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_gated", gate)
    (first,) = desk.began(receipt)
    frozen = desk.fleet.worker_of(first["worker"])
    frozen.kill("SIGSTOP")
    desk.began(receipt, times=2)
    desk.open(gate)
    ended = desk.ended(receipt)
    assert (ended.status, ended.outputs) == ("COMPLETED", ["attempt 2"])
    before = desk.document(receipt)
    frozen.kill("SIGCONT")
    desk.began(receipt, "ended", times=2)  # it did its work a second time, in vain
    poll(
        lambda: "task.lease_lost" in frozen.logs(),
        description="the late worker is told that its lease is gone",
        within_s=MOVED_ON_WITHIN_S,
    )
    assert desk.document(receipt) == before


def test_a_canceled_task_whose_worker_is_killed_is_canceled(desk: Desk) -> None:
    receipt = desk.submit("test_gated", gate_name())
    (first,) = desk.began(receipt)
    desk.kill(receipt)
    desk.fleet.worker_of(first["worker"]).kill()
    ended = desk.ended(receipt)
    assert (ended.status, ended.attempt) == ("CANCELED", 1)
    assert ended.cancellation is not None
    assert ended.cancellation.outcome is not None


def test_a_broker_restarted_empty_loses_no_task_and_doubles_none(desk: Desk) -> None:
    gate = gate_name()
    held = [desk.submit("test_gated", gate) for _ in range(4)]
    for receipt in held:
        desk.began(receipt)
    waiting = [desk.submit("test_count", number) for number in range(12)]
    desk.fleet.broker.lose_data()
    down = [desk.submit("test_count", number) for number in range(12, 16)]
    for receipt in down:
        assert desk.document(receipt)["published_at"] is None
    desk.fleet.broker.restart()
    desk.open(gate)
    for receipt in (*held, *waiting, *down):
        ended = desk.ended(receipt)
        assert (ended.status, ended.attempt) == ("COMPLETED", 1)
        check_document(desk.document(receipt))
    for receipt in held:
        assert [each["what"] for each in desk.effects(receipt)] == ["began", "ended"]
    for receipt in (*waiting, *down):
        assert len(desk.effects(receipt)) == 1
    assert [each.name for each in desk.fleet.everybody() if each.status != "running"] == []


def test_a_family_whose_worker_is_killed_is_concluded_once(desk: Desk) -> None:
    gate = gate_name()
    parent = desk.submit("test_spread", 10, gate)
    tasks = desk.ledger.receipts.tasks
    running = {"parent_task_id": parent.task_id, "status": "PROCESSING"}
    poll(
        lambda: tasks.count_documents(running) >= 3,
        description="pieces run on both workers",
        within_s=MOVED_ON_WITHIN_S,
    )
    (child, *_) = tasks.find(running)
    desk.fleet.worker_of(child["lease"]["worker"]).kill()
    desk.open(gate)
    ended = desk.ended(parent)
    assert (ended.status, ended.conclusions) == ("COMPLETED", 1)
    assert ended.outputs == [{"pieces": 10, "value": sum(range(10))}]
    assert ended.progress is not None
    assert ended.progress.percent == 100.0
    assert [each["what"] for each in desk.effects(parent)] == ["planned", "concluded"]
    children = list(tasks.find({"parent_task_id": parent.task_id}))
    assert {one["status"] for one in children} == {"COMPLETED"}
    assert max(one["attempt"] for one in children) == 2
    for one in children:
        check_document(one)


def test_without_control_worker_and_beat_a_family_still_ends(desk: Desk) -> None:
    desk.fleet.beat.kill()
    desk.fleet.control.kill()
    ended = desk.ended(desk.submit("test_spread", 4))
    assert (ended.status, ended.conclusions) == ("COMPLETED", 1)
    desk.fleet.revive()


def test_a_worker_told_to_stop_finishes_what_it_runs(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_gated", gate)
    (first,) = desk.began(receipt)
    worker = desk.fleet.worker_of(first["worker"])
    worker.kill("SIGTERM")
    poll(
        lambda: "Warm shutdown" in worker.logs(),
        description="the worker drains",
        within_s=MOVED_ON_WITHIN_S,
    )
    before = desk.document(receipt)["lease"]["expires_at"]
    poll(
        lambda: desk.document(receipt)["lease"]["expires_at"] > before,
        description="the lease is renewed while the worker drains",
        within_s=MOVED_ON_WITHIN_S,
    )
    desk.open(gate)
    ended = desk.ended(receipt)
    assert (ended.status, ended.attempt) == ("COMPLETED", 1)
    poll(
        lambda: worker.status == "exited",
        description="the worker ends",
        within_s=MOVED_ON_WITHIN_S,
    )


def test_a_conclusion_whose_worker_is_killed_is_made_again_once(desk: Desk) -> None:
    gate = gate_name()
    parent = desk.submit("test_spread", 2, None, gate)
    desk.began(parent, "concluding")
    desk.fleet.worker_of(desk.document(parent)["lease"]["worker"]).kill()
    desk.fleet.revive()
    desk.open(gate)
    ended = desk.ended(parent)
    assert (ended.status, ended.attempt, ended.conclusions) == ("COMPLETED", 1, 2)
    assert len(desk.effects(parent, "concluding")) == 2
    assert len(desk.effects(parent, "concluded")) == 1
    check_document(desk.document(parent))
