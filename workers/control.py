"""Control tasks, on a queue that no long job can block."""

import structlog
from celery import Task
from celery.contrib.abortable import AbortableAsyncResult

from app.receipts.killer import CONTROL_TASK
from app.receipts.receipt import Receipt
from app.receipts.status import TERMINAL
from workers import process
from workers.celery_app import app

log = structlog.get_logger(__name__)


@app.task(bind=True, name=CONTROL_TASK)
def kill(self: Task, task_id: str) -> None:
    """Carries a stored cancellation out, again if need be: what waits ends, what runs is asked."""
    ledger = process.current(self.app).ledger
    receipt = ledger.cancellations.apply(task_id)
    for running in [receipt, *ledger.families.running(task_id)]:
        _ask(self, running)
    if receipt.fanned_out and ledger.families.is_complete(task_id):
        ledger.publisher.call(receipt)


def _ask(task: Task, receipt: Receipt) -> None:
    """Sets Celery's own flag as well, for those who look there; the receipt's is what counts."""
    if receipt.status in TERMINAL or receipt.lease_token is None or receipt.job_id is None:
        return
    AbortableAsyncResult(receipt.job_id, app=task.app).abort()
    log.info("task.abort_asked", task_id=receipt.task_id, job_id=receipt.job_id)
