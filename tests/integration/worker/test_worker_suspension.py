"""Tasks that are set aside on real workers: they give their place up and go on where they were."""

from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from tests.integration.receipts import check_document
from tests.integration.worker.fleet import MOVED_ON_WITHIN_S, SLOTS, Desk, gate_name
from tests.polling import poll

QUEUE = "test.suspension"
STEPS = 6
PIECES = 9


def pieces(desk: Desk, parent: Receipt, *statuses: str) -> list[Receipt]:
    """The parent's children that have one of the statuses."""
    query = {"parent_task_id": parent.task_id, "status": {"$in": statuses}}
    return [Receipt.from_document(row) for row in desk.ledger.receipts.tasks.find(query)]


def under_way(desk: Desk, gate: str) -> Receipt:
    """A family with a piece on each slot of the fleet, and pieces that wait."""
    parent = desk.submit("test_spread", PIECES, gate)
    poll(
        lambda: len(pieces(desk, parent, "PROCESSING")) == 2 * SLOTS,
        description="a piece runs on each slot",
        within_s=MOVED_ON_WITHIN_S,
    )
    return parent


def test_a_job_is_set_aside_twice_and_others_have_its_place(desk: Desk) -> None:
    gates = {"2": gate_name(), "4": gate_name()}
    with desk.fleet.worker("lone", queue=QUEUE, slots=1):
        receipt = desk.submit("test_stepping", STEPS, gates, max_attempts=1, queue=QUEUE)
        for returns, (before, gate) in enumerate(gates.items(), start=1):
            desk.began(receipt, f"waits before {before}")
            assert desk.suspend(receipt).status == "PROCESSING"
            desk.open(gate)
            aside = desk.reached(receipt, TaskStatusEnum.SUSPENDED)
            assert (aside.returns, aside.lease_token) == (returns, None)
            assert desk.ended(desk.submit("test_count", queue=QUEUE)).status == "COMPLETED"
            assert desk.ledger.receipts.get(receipt.task_id).status == "SUSPENDED"
            desk.resume(receipt)
        ended = desk.ended(receipt)
    assert (ended.status, ended.attempt, ended.returns) == ("COMPLETED", 3, 2)
    assert (ended.outputs, ended.suspension) == ([4, STEPS], None)
    steps = [each["what"] for each in desk.effects(receipt) if each["what"].startswith("step")]
    assert steps == [f"step {number}" for number in range(1, STEPS + 1)]
    check_document(desk.document(receipt))


def test_a_family_is_set_aside_as_a_whole_and_concluded_once(desk: Desk) -> None:
    gate = gate_name()
    parent = under_way(desk, gate)
    assert desk.suspend(parent).status == "SUSPENDED"
    assert len(pieces(desk, parent, "SUSPENDED")) == PIECES - 2 * SLOTS
    desk.open(gate)
    poll(
        lambda: len(pieces(desk, parent, "COMPLETED")) == 2 * SLOTS,
        description="the pieces that ran have ended",
        within_s=MOVED_ON_WITHIN_S,
    )
    desk.ended(desk.submit("test_count"))
    assert len(pieces(desk, parent, "SUSPENDED")) == PIECES - 2 * SLOTS
    assert desk.ledger.receipts.get(parent.task_id).status == "SUSPENDED"
    desk.resume(parent)
    ended = desk.ended(parent)
    assert (ended.status, ended.returns, ended.conclusions) == ("COMPLETED", 1, 1)
    assert ended.outputs == [{"pieces": PIECES, "value": sum(range(PIECES))}]
    assert ended.progress is not None
    assert ended.progress.percent == 100.0
    assert len(desk.effects(parent, "concluded")) == 1
    for child in pieces(desk, parent, "COMPLETED"):
        assert len(desk.effects(child)) == 1
        check_document(desk.document(child))
    check_document(desk.document(parent))


def test_a_family_that_was_set_aside_is_canceled_and_no_piece_begins(desk: Desk) -> None:
    gate = gate_name()
    parent = under_way(desk, gate)
    desk.suspend(parent)
    aside = pieces(desk, parent, "SUSPENDED")
    desk.kill(parent)
    desk.open(gate)
    ended = desk.ended(parent)
    assert (ended.status, ended.conclusions) == ("CANCELED", 0)
    assert len(pieces(desk, parent, "COMPLETED", "CANCELED")) == PIECES
    desk.ended(desk.submit("test_count"))
    assert {child.task_id for child in pieces(desk, parent, "CANCELED")} >= {
        child.task_id for child in aside
    }
    assert [desk.effects(child) for child in aside] == [[]] * len(aside)
    assert desk.effects(parent, "concluded") == []


def test_a_job_that_was_set_aside_is_canceled_and_does_not_go_on(desk: Desk) -> None:
    gate = gate_name()
    receipt = desk.submit("test_stepping", STEPS, {"2": gate})
    desk.began(receipt, "waits before 2")
    desk.suspend(receipt)
    desk.open(gate)
    desk.reached(receipt, TaskStatusEnum.SUSPENDED)
    desk.ledger.killer.kill(receipt.task_id, actor="key:test", reason=None)
    ended = desk.ended(receipt)
    assert (ended.status, ended.attempt) == ("CANCELED", 1)
    assert desk.ledger.publisher.publish(receipt)
    desk.ended(desk.submit("test_count"))
    assert [each["what"] for each in desk.effects(receipt)] == [
        "step 1",
        "waits before 2",
        "step 2",
    ]
    check_document(desk.document(receipt))
