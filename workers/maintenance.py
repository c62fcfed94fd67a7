"""What Beat ticks. Each tick is a set of claims, so doing it twice or late harms nobody."""

from datetime import timedelta
from typing import Final

import structlog
from celery import Task

from app.resources.batch import BatchStore
from workers import process
from workers.celery_app import app

REAPER: Final = "reaper"
LONGEST_GAP: Final = timedelta(seconds=6)  # three ticks

log = structlog.get_logger(__name__)


@app.task(bind=True, name="waybill.heartbeat")
def heartbeat(self: Task) -> None:
    """Records that Beat ticks and that a control worker hears it."""
    process.current(self.app).ledger.pulse.beat()


@app.task(bind=True, name="waybill.reap_leases")
def reap_leases(self: Task) -> None:
    """Moves tasks on whose worker is lost.

    Not at once after an outage of MongoDB or Beat: keepers that could not renew come first.
    """
    worker = process.current(self.app)
    ledger = worker.ledger
    heartbeat = timedelta(seconds=worker.settings.heartbeat_s)
    if ledger.pulse.steady_for(REAPER, gap=LONGEST_GAP) < heartbeat:
        return
    for receipt in ledger.leases.reap():
        parent_id = receipt.parent_task_id
        if receipt.is_terminal and parent_id and ledger.families.is_complete(parent_id):
            ledger.publisher.call(ledger.receipts.get(parent_id))


@app.task(bind=True, name="waybill.republish")
def republish(self: Task) -> None:
    """Sends the messages of waiting tasks that have none."""
    ledger = process.current(self.app).ledger
    sent = ledger.queue.republish(ledger.publisher)
    if sent:
        log.info("queue.republished", sent=sent)


@app.task(bind=True, name="waybill.settle_batches")
def settle_batches(self: Task) -> None:
    """Copies how tasks ended to their batches, for the time after the receipts."""
    worker = process.current(self.app)
    BatchStore(worker.database, worker.ledger.receipts).settle()


@app.task(bind=True, name="waybill.conclude")
def conclude(self: Task) -> None:
    """Takes up what a crash left half done: cancellations, suspensions, parents to conclude."""
    ledger = process.current(self.app).ledger
    for task_id in ledger.cancellations.unapplied():
        ledger.cancellations.apply(task_id)
    ledger.cancellations.note_unreachable()
    for task_id in ledger.suspensions.unapplied():
        ledger.suspensions.apply(task_id)
    for parent in ledger.families.overdue():
        ledger.publisher.call(parent)
