"""Namespaces beside each other on real workers: floods, and quotas."""

from collections.abc import Sequence
from typing import Final

from redis import Redis

from app.broker import JOB_QUEUES, JOBS_QUEUE
from app.receipts.receipt import NewTask, Receipt
from tests.integration.receipts import limit_tasks
from tests.integration.worker.fleet import SLOTS, Desk, gate_name
from tests.overlap import most_at_once

FLOODS: Final = {"ns_flood_a": 1_000, "ns_flood_b": 300, "ns_flood_c": 300}
LIMIT: Final = 2


def submit(
    desk: Desk, namespace_id: str, count: int, task_type: str, *inputs: object
) -> list[Receipt]:
    task = NewTask(
        task_type=task_type,
        namespace_id=namespace_id,
        inputs=list(inputs),
        actor="key:test",
        additional_data={},
        max_attempts=3,
        queue=JOBS_QUEUE,
    )
    return desk.ledger.submission.submit([task] * count)


def test_a_single_job_does_not_wait_behind_floods(desk: Desk) -> None:
    """Counted in starts of its worker: what that held already, and a turn of the queues.

    How many the other worker starts meanwhile is a matter of speed.
    """
    for worker in desk.fleet.workers:
        worker.kill("SIGSTOP")
    flood = [
        receipt
        for namespace_id, count in FLOODS.items()
        for receipt in submit(desk, namespace_id, count, "test_count")
    ]
    (single,) = submit(desk, "ns_single", 1, "test_count")
    for worker in desk.fleet.workers:
        worker.kill("SIGCONT")
    started_at = desk.ended(single).started_at
    (start,) = [each for each in desk.document(single)["history"] if each["to"] == "PROCESSING"]
    before = desk.ledger.receipts.tasks.count_documents(
        {
            "started_at": {"$lt": started_at},
            "namespace_id": {"$in": list(FLOODS)},
            "history": {"$elemMatch": {"to": "PROCESSING", "worker": start["worker"]}},
        }
    )
    fetched_and_running = 2 * SLOTS
    queues_in_use = 1 + len(FLOODS)
    assert before <= fetched_and_running + queues_in_use
    _call_off(desk, flood)


def _call_off(desk: Desk, flood: Sequence[Receipt]) -> None:
    """The tests that follow need not wait for it."""
    ids = [receipt.task_id for receipt in flood]
    desk.ledger.cancellations.end_many(ids, actor="key:test", reason=None)
    with Redis.from_url(desk.fleet.broker.url) as broker:
        broker.delete(*JOB_QUEUES)


def test_never_more_run_than_the_quota_whoever_dies(desk: Desk) -> None:
    namespace_id, gate = "ns_quota", gate_name()
    limit_tasks(desk.ledger, namespace_id, max_running=LIMIT)
    gated = submit(desk, namespace_id, LIMIT, "test_gated", gate)
    rest = submit(desk, namespace_id, 10, "test_steady", 5)
    running = [desk.began(receipt)[0] for receipt in gated]
    assert all(desk.ledger.receipts.get(receipt.task_id).is_held for receipt in rest)

    desk.fleet.worker_of(running[0]["worker"]).kill()
    with Redis.from_url(desk.fleet.broker.url) as broker:
        broker.flushall()
    desk.open(gate)
    ended = [desk.ended(receipt) for receipt in (*gated, *rest)]
    assert {receipt.status for receipt in ended} == {"COMPLETED"}
    documents = [desk.document(receipt) for receipt in ended]
    assert max(document["attempt"] for document in documents) > 1  # the killed worker's came back
    assert most_at_once(documents) == LIMIT


def test_lowering_and_raising_a_quota_moves_what_waits(desk: Desk) -> None:
    namespace_id, gate = "ns_lowered", gate_name()
    limit_tasks(desk.ledger, namespace_id, max_running=3)
    receipts = submit(desk, namespace_id, 5, "test_gated", gate)
    for receipt in receipts[:3]:
        desk.began(receipt)
    limit_tasks(desk.ledger, namespace_id, max_running=1)
    assert all(desk.ledger.receipts.get(each.task_id).is_held for each in receipts[3:])
    limit_tasks(desk.ledger, namespace_id, max_running=4)
    desk.began(receipts[3])
    assert desk.ledger.receipts.get(receipts[4].task_id).is_held
    desk.open(gate)
    for receipt in receipts:
        assert desk.ended(receipt).status == "COMPLETED"
