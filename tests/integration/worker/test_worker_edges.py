"""Redelivery, a broker that restarts, Beats that are missing or too many: each task runs once."""

from tests.integration.receipts import check_document
from tests.integration.worker.fleet import MOVED_ON_WITHIN_S, Desk, beat, gate_name
from tests.polling import poll

QUEUE = "test.edges"


def test_a_task_whose_messages_come_twice_runs_once(desk: Desk) -> None:
    desk.fleet.beat.kill()  # what comes again is sent by the test, not by the republisher
    gate = gate_name()
    publisher = desk.ledger.publisher
    with desk.fleet.worker("twice", queue=QUEUE, slots=1) as worker:
        running = desk.submit("test_gated", gate, queue=QUEUE)
        desk.began(running)
        waiting = desk.submit("test_gated", gate, queue=QUEUE)
        for receipt in (running, waiting):
            assert publisher.publish(receipt)
        desk.open(gate)
        for receipt in (running, waiting):
            assert desk.ended(receipt).attempt == 1
        poll(lambda: publisher.depth(QUEUE) == 0, description="all are fetched", within_s=30)
        worker.says("task.claim_refused")
        for receipt in (running, waiting):
            assert [each["what"] for each in desk.effects(receipt)] == ["began", "ended"]
            check_document(desk.document(receipt))


def test_workers_consume_again_after_the_broker_was_killed(desk: Desk) -> None:
    gate = gate_name()
    pids = [each.id for each in desk.fleet.everybody() if each is not desk.fleet.broker]
    held = [desk.submit("test_gated", gate) for _ in range(8)]
    desk.began(held[0])
    desk.fleet.broker.kill()
    desk.fleet.broker.restart()
    desk.fleet.broker.ready()
    after = [desk.submit("test_count", number) for number in range(4)]
    desk.open(gate)
    for receipt in (*held, *after):
        ended = desk.ended(receipt)
        assert (ended.status, ended.attempt) == ("COMPLETED", 1)
    for receipt in held:
        assert [each["what"] for each in desk.effects(receipt)] == ["began", "ended"]
    for receipt in after:
        assert len(desk.effects(receipt)) == 1
    assert pids == [each.id for each in desk.fleet.everybody() if each is not desk.fleet.broker]


def test_without_beat_tasks_end_and_two_beats_move_a_lost_one_on_once(desk: Desk) -> None:
    desk.fleet.beat.kill()
    gate = gate_name()
    lost = desk.submit("test_gated", gate)
    (first,) = desk.began(lost)
    desk.fleet.worker_of(first["worker"]).kill()
    assert desk.ended(desk.submit("test_count")).status == "COMPLETED"
    unsent = [desk.create("test_count", number) for number in range(4)]
    poll(
        lambda: desk.has_expired(lost),
        description="the lease of the lost worker has ended",
        within_s=MOVED_ON_WITHIN_S,
    )
    assert desk.steps(lost) == [("PENDING", 0), ("PROCESSING", 1)]
    second = beat(desk.fleet.folder, desk.fleet.env, "beat2")
    try:
        desk.fleet.beat.restart()
        assert desk.fleet.beat.ready()
        assert second.ready()
        desk.open(gate)
        ended = desk.ended(lost)
        assert (ended.status, ended.outputs) == ("COMPLETED", ["attempt 2"])
        reaped = [entry for entry in desk.history(lost) if entry["actor"] == "reaper"]
        assert len(reaped) == 1
        for receipt in unsent:
            assert desk.ended(receipt).attempt == 1
            assert len(desk.effects(receipt)) == 1
        assert (desk.fleet.beat.status, second.status) == ("running", "running")
    finally:
        second.teardown()
