"""Jobs that fan out over real workers: the sum of their pieces, concluded once."""

from tests.integration.receipts import check_document
from tests.integration.worker.fleet import Desk, gate_name
from tests.polling import poll


def test_pieces_run_and_are_concluded_once(desk: Desk) -> None:
    parent = desk.ended(desk.submit("test_spread", 12))
    assert (parent.status, parent.attempt, parent.conclusions) == ("COMPLETED", 1, 1)
    assert parent.outputs == [{"pieces": 12, "value": sum(range(12))}]
    assert parent.progress is not None
    assert (parent.progress.done, parent.progress.total) == (120, 120)
    assert [each["what"] for each in desk.effects(parent)] == ["planned", "concluded"]
    children = list(desk.ledger.receipts.tasks.find({"parent_task_id": parent.task_id}))
    assert len(children) == 12
    for child in children:
        check_document(child)
        assert (child["status"], child["attempt"]) == ("COMPLETED", 1)
    check_document(desk.document(parent))
    assert [step[0] for step in desk.steps(parent)] == ["PENDING", "PROCESSING", "COMPLETED"]


def test_a_plan_without_pieces_is_concluded_as_well(desk: Desk) -> None:
    parent = desk.ended(desk.submit("test_spread", 0))
    assert (parent.status, parent.outputs) == ("COMPLETED", [{"pieces": 0}])


def test_failed_pieces_reach_the_conclusion(desk: Desk) -> None:
    parent = desk.ended(desk.submit("test_spread", 3, "fail"))
    assert (parent.status, parent.error_message) == ("FAILED", "3 failed: Piece 0 is broken.")
    assert len(desk.effects(parent, "concluded")) == 1


def test_a_plan_that_fails_halfway_fails_the_task_at_once(desk: Desk) -> None:
    parent = desk.ended(desk.submit("test_spread", 3, "unplannable"))
    assert (parent.status, parent.attempt) == ("FAILED", 1), parent.error_message
    assert parent.error_message == "The plan cannot be made."


def test_a_parent_that_is_canceled_takes_its_pieces_along(desk: Desk) -> None:
    gate = gate_name()
    parent = desk.submit("test_spread", 8, gate)
    query = {"parent_task_id": parent.task_id, "status": "PROCESSING"}
    tasks = desk.ledger.receipts.tasks
    poll(
        lambda: tasks.count_documents(query) >= 2,
        description="two pieces run",
        within_s=30,
    )
    desk.kill(parent)
    poll(
        lambda: tasks.count_documents({**query, "status": "CANCELED"}) >= 2,
        description="the pieces that wait are canceled",
        within_s=30,
    )
    assert not desk.ledger.receipts.get(parent.task_id).is_terminal
    desk.open(gate)
    ended = desk.ended(parent)
    assert ended.status == "CANCELED"
    assert ended.cancellation is not None
    assert ended.cancellation.outcome is not None
    assert desk.effects(parent, "concluded") == []
    children = list(tasks.find({"parent_task_id": parent.task_id}))
    # Those that ran may have ended before they looked.
    assert {child["status"] for child in children} <= {"CANCELED", "COMPLETED"}
    for child in children:
        check_document(child)


def test_messages_that_come_again_conclude_nothing_twice(desk: Desk) -> None:
    parent = desk.submit("test_spread", 6)
    for _ in range(10):
        desk.ledger.publisher.publish(parent)
        desk.ledger.publisher.call(parent)
    ended = desk.ended(parent)
    for _ in range(10):
        desk.ledger.publisher.publish(parent)
        desk.ledger.publisher.call(parent)
    desk.ended(desk.submit("test_count"))
    assert [each["what"] for each in desk.effects(parent)] == ["planned", "concluded"]
    assert desk.document(parent) == desk.document(ended)
    assert ended.conclusions == 1


def test_a_conclusion_that_fails_transiently_is_made_again(desk: Desk) -> None:
    parent = desk.ended(desk.submit("test_spread", 2, None, "transient"))
    assert (parent.status, parent.attempt, parent.conclusions) == ("COMPLETED", 1, 2)
    assert len(desk.effects(parent, "concluded")) == 1
