"""What Beat ticks. Each tick is a set of claims, so doing it twice or late harms nobody."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

import structlog
from celery import Task
from pymongo.errors import OperationFailure

from app import tracing
from app.clusters.run import RunStore
from app.errors import NotFoundError
from app.follow_up.follow_up import FollowUpStore
from app.follow_up.starter import Starter
from app.follow_up.sweep import FollowUpSweep
from app.migrations.store import MigrationStore
from app.resources.batch import BatchStore
from app.resources.collection import CollectionStore
from app.resources.document import DocumentStore
from app.resources.namespace import NamespaceStore
from app.taxonomies.materialization import MaterializationStore
from workers import process
from workers.celery_app import app

REAPER: Final = "reaper"
CONCLUDER: Final = "concluder"
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
    """Lets in what waits for room in a quota, and sends the messages of tasks that have none."""
    worker = process.current(self.app)
    ledger = worker.ledger
    tracing.start(worker.settings, role="worker")
    sent = ledger.submission.let_in() + ledger.queue.republish(ledger.publisher)
    if sent:
        log.info("queue.republished", sent=sent)


@app.task(bind=True, name="waybill.settle")
def settle(self: Task) -> None:
    """Copies how tasks ended to the resources that own them, for the time after the receipts."""
    worker = process.current(self.app)
    receipts = worker.ledger.receipts
    for owner in (
        BatchStore(worker.database, receipts),
        MigrationStore(worker.database, receipts),
        RunStore(worker.database, receipts),
        MaterializationStore(worker.database, receipts),
    ):
        owner.settle()


@app.task(bind=True, name="waybill.follow_up")
def follow_up(self: Task) -> None:
    """Runs what collections want run after their batches."""
    worker = process.current(self.app)
    database, ledger, settings = worker.database, worker.ledger, worker.settings
    tracing.start(settings, role="worker")
    FollowUpSweep(
        NamespaceStore(database),
        BatchStore(database, ledger.receipts),
        CollectionStore(database),
        DocumentStore(database),
        FollowUpStore(database),
        Starter.over(database, ledger, settings),
        timedelta(seconds=settings.follow_up_debounce_s),
    ).run()


@app.task(bind=True, name="waybill.conclude")
def conclude(self: Task) -> None:
    """Takes up what a crash left half done: cancellations, suspensions, families."""
    ledger = process.current(self.app).ledger
    for parent in ledger.families.overdue():
        ledger.publisher.call(parent)
    ledger.cancellations.note_unreachable()
    _each(ledger.cancellations.unapplied(), ledger.cancellations.apply)
    _each(ledger.suspensions.unapplied(), ledger.suspensions.apply)
    for parent in ledger.families.left_behind():
        reason = f"the parent task is {parent.status}"
        ledger.cancellations.end_children(parent.task_id, actor=CONCLUDER, reason=reason)


def _each(task_ids: Iterable[str], apply: Callable[[str], object]) -> None:
    """One that cannot be moved must not hold up the others."""
    for task_id in task_ids:
        try:
            apply(task_id)
        except (OperationFailure, NotFoundError) as exc:
            log.error("task.left_half_done", task_id=task_id, error=str(exc))
