"""Which queue a task waits in: a flood stands in nobody's way."""

from datetime import UTC, datetime

from pymongo.database import Database

from app.broker import BACKLOG_QUEUES, JOBS_QUEUE
from app.database import Document
from app.receipts.lane import FIRST, candidates
from app.receipts.ledger import Ledger
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move
from tests.integration.receipts import claim, new_task

BACK = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1")


def submit(ledger: Ledger, count: int, namespace_id: str = "ns_flood") -> list[str]:
    """The queues of so many tasks that are submitted at once."""
    return [receipt.queue for receipt in submitted(ledger, count, namespace_id)]


def submitted(ledger: Ledger, count: int, namespace_id: str = "ns_flood") -> list[Receipt]:
    task = new_task(namespace_id=namespace_id, queue=JOBS_QUEUE)
    return ledger.submission.submit([task] * count)


def begin_all(ledger: Ledger) -> None:
    """A worker takes everything that waits."""
    rows = ledger.receipts.tasks.find({"status": "PENDING"}, {"_id": 1})
    for receipt in ledger.receipts.find_many([row["_id"] for row in rows]):
        claim(ledger, receipt)


def test_a_namespace_with_little_waiting_uses_the_first_queue(ledger: Ledger) -> None:
    for _ in range(FIRST):
        assert submit(ledger, 1) == [JOBS_QUEUE]
    (queue,) = submit(ledger, 1)
    assert queue in candidates("ns_flood")
    assert submit(ledger, 1, "ns_single") == [JOBS_QUEUE]
    begin_all(ledger)
    assert submit(ledger, 1) == [JOBS_QUEUE]


def test_what_is_a_flood_by_itself_waits_behind_itself(ledger: Ledger) -> None:
    assert submit(ledger, FIRST) == [JOBS_QUEUE] * FIRST
    begin_all(ledger)
    (queue,) = set(submit(ledger, FIRST + 1))
    assert queue in candidates("ns_flood")
    assert set(submit(ledger, 1)) == {queue}


def test_a_flood_goes_where_the_other_is_not(ledger: Ledger) -> None:
    one, other = candidates("ns_flood")
    near = next(name for name in map("ns_{}".format, range(10_000)) if one in candidates(name))
    (taken,) = set(submit(ledger, FIRST + 1, near))
    (queue,) = set(submit(ledger, FIRST + 1))
    assert queue == (other if taken == one else one)
    begin_all(ledger)
    assert set(submit(ledger, FIRST + 1)) == {one}


def test_the_two_backlogs_of_a_namespace_are_stable_differ_and_are_spread() -> None:
    pairs = [candidates(f"ns_{number}") for number in range(1_000)]
    assert pairs == [candidates(f"ns_{number}") for number in range(1_000)]
    assert all(one != other for one, other in pairs)
    for place in (0, 1):
        by_queue = [sum(pair[place] == queue for pair in pairs) for queue in BACKLOG_QUEUES]
        assert min(by_queue) > len(pairs) / len(BACKLOG_QUEUES) / 2


def test_the_children_of_a_large_task_are_a_flood_and_those_of_a_small_one_are_not(
    ledger: Ledger,
) -> None:
    for count, queues in ((FIRST, {JOBS_QUEUE}), (FIRST + 1, set(BACKLOG_QUEUES))):
        parent, _ = claim(ledger, submitted(ledger, 1)[0])
        pieces = [Piece(ordinal, [ordinal], 1) for ordinal in range(count)]
        at = datetime.now(UTC)
        assert ledger.families.create_children(parent, "test_piece", iter(pieces), at=at) == count
        children = ledger.families.waiting(parent.task_id)
        assert [child.inputs for child in children] == [[piece.ordinal] for piece in pieces]
        assert len({child.queue for child in children}) == 1
        assert {child.queue for child in children} <= queues
        begin_all(ledger)


def test_a_job_types_own_queue_is_kept_however_much_waits(ledger: Ledger) -> None:
    tasks = [new_task(queue="test.own"), new_task(queue=JOBS_QUEUE)] * (FIRST + 1)
    receipts = ledger.submission.submit(tasks)
    assert [receipt.queue for receipt in receipts[::2]] == ["test.own"] * (FIRST + 1)
    (backlog,) = {receipt.queue for receipt in receipts[1::2]}
    assert backlog in BACKLOG_QUEUES


def test_a_task_given_back_keeps_its_queue(ledger: Ledger) -> None:
    for receipt in (submitted(ledger, 1)[0], submitted(ledger, FIRST + 1)[0]):
        claimed, by = claim(ledger, receipt)
        guard = {"lease.token": by.token}
        back = ledger.receipts.requeue(claimed.task_id, BACK, guard=guard)
        assert back is not None
        assert back.queue == receipt.queue


def test_the_choice_reads_an_index_and_no_receipt(
    ledger: Ledger, database: Database[Document]
) -> None:
    ledger.receipts.ensure_indexes()
    submit(ledger, 200)
    submit(ledger, 200, "ns_other")
    database.command("profile", 2)
    submit(ledger, 1)
    database.command("profile", 0)
    looked = list(
        database["system.profile"].find(
            {"ns": f"{database.name}.tasks", "op": {"$in": ["query", "command"]}}
        )
    )
    assert looked
    for each in looked:
        assert each["docsExamined"] == 0, each
        assert each["keysExamined"] <= FIRST + len(BACKLOG_QUEUES) + 2, each
