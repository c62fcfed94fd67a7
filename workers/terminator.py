"""Ends the process of a job that was asked to end and does not look.

It runs in the worker's parent, which alone knows which child runs what. The other children go on
undisturbed: a child has one job at a time, and gets the next after its parent has heard of the
end of the last, so a child whose receipt is still held by that job runs nothing else.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psutil
import structlog
from celery.worker import state

from app.receipts.cancellation import BY_FORCE
from app.receipts.receipt import Receipt
from workers.process import KEEPER_ID, WorkerProcess

log = structlog.get_logger(__name__)

# From SIGTERM, which most code dies of at once, to SIGKILL.
PATIENCE_S: Final = 2.0


@dataclass(slots=True)
class _Ending:
    """A child that was sent a signal, and the receipt it runs."""

    child: psutil.Process
    receipt: Receipt
    kill_at_s: float

    @property
    def has_ended(self) -> bool:
        """Whether none of its code runs any more; a zombie only waits for its parent."""
        try:
            return self.child.status() == psutil.STATUS_ZOMBIE or not self.child.is_running()
        except psutil.NoSuchProcess:
            return True


class Terminator:
    """Call `tick` every second or so; each call is short, and safe to leave out."""

    def __init__(self, pool: Any) -> None:
        """`pool` is the worker's prefork pool."""
        self._pool = pool
        self._endings: dict[str, _Ending] = {}  # by lease token

    def tick(self, worker: WorkerProcess, task_ids: Sequence[str]) -> None:
        """Signals the children of the tasks that are overdue, and records those that ended."""
        grace = timedelta(seconds=worker.settings.kill_grace_s)
        overdue = worker.ledger.cancellations.overdue(task_ids, keeper=KEEPER_ID, grace=grace)
        for receipt in overdue:
            if receipt.lease_token is not None and receipt.lease_token not in self._endings:
                self._begin(receipt.lease_token, receipt)
        for token, ending in list(self._endings.items()):
            if ending.has_ended:
                del self._endings[token]
                self._record(worker, ending.receipt)
            elif time.monotonic() > ending.kill_at_s:
                self._signal(ending.child.pid, signal.SIGKILL)

    def _begin(self, token: str, receipt: Receipt) -> None:
        request = state.requests.get(str(receipt.job_id))
        pid = None if request is None else request.worker_pid
        if pid is None:
            return
        try:
            child = psutil.Process(pid)
        except psutil.NoSuchProcess:
            return  # its lease ends with it, and the reaper takes note of the cancellation
        self._endings[token] = _Ending(child, receipt, time.monotonic() + PATIENCE_S)
        self._signal(pid, signal.SIGTERM)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        log.warning("task.child_signalled", pid=pid, signal=number.name)
        self._pool.terminate_job(pid, number)

    def _record(self, worker: WorkerProcess, receipt: Receipt) -> None:
        ledger = worker.ledger
        canceled = ledger.cancellations.record_end(receipt, outcome=BY_FORCE)
        if canceled is None:
            return  # it ended by itself, just in time
        parent_id = canceled.parent_task_id
        if parent_id is not None and ledger.families.is_complete(parent_id):
            ledger.publisher.call(ledger.receipts.get(parent_id))
