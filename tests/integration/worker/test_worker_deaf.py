"""The end of one job by force leaves the next one of its process alone."""

from datetime import datetime, timedelta
from typing import Final

from app.receipts.receipt import Receipt
from app.receipts.transition import NOW
from tests.integration.worker.fleet import MOVED_ON_WITHIN_S, Desk, gate_name
from tests.polling import poll
from workers.terminator import PATIENCE_S

QUEUE: Final = "test.deaf"
IMPORTS: Final = "tests.integration.jobs_for_tests,tests.integration.deaf_job"


def renewed_until(desk: Desk, receipt: Receipt) -> datetime | None:
    """When the lease of the task's first attempt ends, or None: it has that one no more."""
    document = desk.document(receipt)
    expires_at: datetime | None = (document["lease"] or {}).get("expires_at")
    return expires_at if document["attempt"] == 1 else None


def test_a_job_that_ends_at_sigterm_leaves_its_process_to_the_next(desk: Desk) -> None:
    gate = gate_name()
    with desk.fleet.worker("deaf", queue=QUEUE, slots=1, env={"WAYBILL_IMPORTS": IMPORTS}):
        deaf = desk.submit("test_told_to_end", queue=QUEUE)
        desk.began(deaf)
        following = desk.submit("test_gated", gate, queue=QUEUE)
        desk.kill(deaf)
        overdue = {"$set": {"cancellation.deadline_at": NOW}}
        desk.ledger.receipts.tasks.update_one({"_id": deaf.task_id}, [overdue])
        ended = desk.ended(deaf)
        assert (ended.status, ended.outputs) == ("COMPLETED", ["told to end"])
        desk.began(following)
        first = renewed_until(desk, following)
        assert first is not None
        # Its worker's parent has gone on for longer than the patience.
        past = first + timedelta(seconds=2 * PATIENCE_S)

        def is_past() -> bool:
            until = renewed_until(desk, following)
            return until is None or until > past

        poll(is_past, description="the lease is renewed", within_s=MOVED_ON_WITHIN_S)
        desk.open(gate)
        ended = desk.ended(following)
        assert (ended.status, ended.attempt) == ("COMPLETED", 1)
