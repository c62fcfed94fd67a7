"""Renews the leases of all tasks that this worker's children run, from the worker's parent.

It is a thread of the parent process, outside every job: a job that holds the GIL keeps its
lease, and a worker that is dead or frozen loses it. In the same rounds it has the processes ended
of jobs that were asked to end and do not look.
"""

import threading
import time
from typing import Any, Final

import psutil
import structlog
from celery import bootsteps
from celery.concurrency import prefork
from celery.worker import state
from pymongo.errors import PyMongoError

from app.receipts.job_type import JobType
from workers import process
from workers.job import Job
from workers.terminator import Terminator

log = structlog.get_logger(__name__)

TICK_S: Final = 1.0
REGISTER_EVERY_S: Final = 3_600.0


class LeaseKeeper(bootsteps.StartStopStep):
    """A step of the worker: registers what it serves, then renews leases until the process ends."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._thread: threading.Thread | None = None

    def start(self, parent: Any) -> None:
        """Starts the thread. Nothing stops it: a worker that drains still holds its leases."""
        terminator = Terminator(parent.pool) if isinstance(parent.pool, prefork.TaskPool) else None
        self._thread = threading.Thread(
            target=_keep,
            args=(parent, terminator),
            name="lease-keeper",
            daemon=True,
        )
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Leaves the thread running, since children may still be at work."""


def _keep(parent: Any, terminator: Terminator | None) -> None:
    celery = parent.app
    pause = threading.Event()
    renew_at_s = register_at_s = time.monotonic()
    while True:
        try:
            worker = process.current(celery)
            running = _running()
            if time.monotonic() >= renew_at_s:
                renew_at_s = time.monotonic() + _renew(worker, running)
                _beat(parent, worker)
            if time.monotonic() >= register_at_s:
                worker.ledger.job_types.register(_job_types(celery, worker))
                register_at_s = time.monotonic() + REGISTER_EVERY_S
            if terminator is not None:
                terminator.tick(worker, list(running.values()))
            pause.wait(min(worker.settings.heartbeat_s, TICK_S))
        # The root of a thread: whatever it is, without renewals every job here would run twice.
        except Exception as exc:  # noqa: BLE001
            log.warning("lease.renewal_failed", error=type(exc).__name__, reason=str(exc))
            pause.wait(TICK_S)
            renew_at_s = time.monotonic()


def _renew(worker: process.WorkerProcess, running: dict[str, str]) -> float:
    """The seconds after which to renew again: soon where a job's own transaction was in the way."""
    try:
        worker.ledger.leases.renew(running, keeper=process.KEEPER_ID)
    except PyMongoError as exc:
        if not exc.timeout:
            raise
        log.info("lease.renewal_waits", running=len(running))
        return TICK_S
    return worker.settings.heartbeat_s


def _beat(parent: Any, worker: process.WorkerProcess) -> None:
    queues = list(parent.app.amqp.queues.consume_from)
    slots = int(parent.pool.limit)
    worker.ledger.pulse.beat(parent.hostname, queues=queues, slots=slots)


def _running() -> dict[str, str]:
    """The task of each message that this worker has taken, by the message's Celery id.

    Without those of a child that has died, which Celery notices some seconds later.
    """
    return {
        request.id: str(task_id)
        for request in list(state.requests.values())
        if isinstance(request.task, Job) and not _is_dead(request.worker_pid)
        for task_id in (*request.args, *request.kwargs.values())
    }


def _is_dead(pid: int | None) -> bool:
    """Whether no process runs under the id of one that did; None before a child has it."""
    if pid is None:
        return False
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _job_types(celery: Any, worker: process.WorkerProcess) -> list[JobType]:
    return [
        JobType(
            name=task.name,
            queue=task.queue or celery.conf.task_default_queue,
            max_attempts=task.max_attempts or worker.settings.max_attempts,
            submittable=task.submittable,
            suspendable=task.suspendable,
        )
        for task in celery.tasks.values()
        if isinstance(task, Job)
    ]
