"""Ends the process of a job that was asked to end and does not look, or that works for nobody.

It runs in the worker's parent, which alone knows which child runs what. The other children go on
undisturbed: a child has one job at a time, and gets the next after its parent has heard of the
end of the last, so a child whose receipt is still held by that job runs nothing else. Where the
lease was lost, a second look a tick later makes sure that the job has not just come to its end.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil
import structlog
from celery.worker import state
from pymongo.errors import OperationFailure

from app.receipts.cancellation import BY_FORCE
from app.receipts.lease import Hold
from app.receipts.receipt import Receipt
from workers.process import KEEPER_ID, WorkerProcess

log = structlog.get_logger(__name__)

# From SIGTERM, which most code dies of at once, to SIGKILL.
PATIENCE_S: Final = 2.0


@dataclass(slots=True)
class _Ending:
    """A child that was sent a signal; `receipt` is to say CANCELED when it is gone, if it may."""

    child: psutil.Process
    job_id: str
    receipt: Receipt | None
    kill_at_s: float

    @property
    def has_ended(self) -> bool:
        """Whether none of its code runs any more; a zombie only waits for its parent."""
        try:
            return self.child.status() == psutil.STATUS_ZOMBIE or not self.child.is_running()
        except psutil.NoSuchProcess:
            return True

    @property
    def has_left(self) -> bool:
        """Whether the job came to its end by itself: the child may have the next one by now."""
        request = state.requests.get(self.job_id)
        return request is None or request.worker_pid != self.child.pid


class Terminator:
    """Call `tick` every second or so; each call is short, and safe to leave out."""

    def __init__(self, pool: Any) -> None:
        """`pool` is the worker's prefork pool."""
        self._pool = pool
        self._holds: dict[str, Hold] = {}  # by lease token, as are the others
        self._outlived: set[str] = set()
        self._endings: dict[str, _Ending] = {}

    def tick(self, worker: WorkerProcess, task_ids: Sequence[str]) -> None:
        """Signals the children of tasks that are overdue or lost, and records those that ended."""
        for receipt in worker.ledger.cancellations.overdue(task_ids, keeper=KEEPER_ID):
            if receipt.lease_token is not None:
                self._begin(receipt.lease_token, str(receipt.job_id), receipt)
        for hold in self._lost(worker, task_ids):
            self._begin(hold.token, hold.job_id, None)
        for token, ending in list(self._endings.items()):
            if ending.has_ended:
                if self._record(worker, ending.receipt):
                    del self._endings[token]
            elif ending.has_left:
                del self._endings[token]
            elif time.monotonic() > ending.kill_at_s:
                self._signal(ending.child.pid, signal.SIGKILL)

    def _lost(self, worker: WorkerProcess, task_ids: Sequence[str]) -> list[Hold]:
        """What this worker held, and still runs, though its leases were taken back a tick ago."""
        leases = worker.ledger.leases
        held = {hold.token: hold for hold in leases.held(task_ids, keeper=KEEPER_ID)}
        known = {**self._holds, **held}
        self._holds = {
            token: hold for token, hold in known.items() if hold.job_id in state.requests
        }
        suspects = [hold for token, hold in self._holds.items() if token not in held]
        outlived = leases.outlived(suspects) if suspects else set()
        confirmed = [self._holds[token] for token in outlived & self._outlived]
        self._outlived = outlived
        return confirmed

    def _begin(self, token: str, job_id: str, receipt: Receipt | None) -> None:
        request = state.requests.get(job_id)
        pid = None if request is None else request.worker_pid
        if pid is None or token in self._endings:
            return
        try:
            child = psutil.Process(pid)
        except psutil.NoSuchProcess:
            return  # its lease ends with it, and the reaper takes note of the cancellation
        self._endings[token] = _Ending(child, job_id, receipt, time.monotonic() + PATIENCE_S)
        self._signal(pid, signal.SIGTERM)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        log.warning("task.child_signalled", pid=pid, signal=number.name)
        self._pool.terminate_job(pid, number)

    def _record(self, worker: WorkerProcess, receipt: Receipt | None) -> bool:
        """Whether that is done; not while a transaction that the child left open locks it."""
        if receipt is None:
            return True
        ledger = worker.ledger
        try:
            canceled = ledger.leases.record_end(receipt, outcome=BY_FORCE)
        except OperationFailure as exc:
            log.warning("task.record_waits", task_id=receipt.task_id, error=type(exc).__name__)
            return False
        if canceled is None:
            return True  # it ended by itself, just in time
        parent_id = canceled.parent_task_id
        if parent_id is not None and ledger.families.is_complete(parent_id):
            ledger.publisher.call(ledger.receipts.get(parent_id))
        return True
