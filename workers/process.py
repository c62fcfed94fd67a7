"""What one worker process has open: settings, MongoDB, the receipts, and the spool of its runs.

Opened at first use, so never before a fork: a client does not survive one. A child that is
forked later forgets what its parent had open and opens its own.
"""

import os
import threading
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from celery import Celery
from pymongo.database import Database

from app.database import Document, connect
from app.receipts.ledger import Ledger
from app.settings import Settings, load_settings
from workers.run_record import RunRecorder

# How long a transition or report of a job outlasts a MongoDB that is away.
PATIENCE: Final = timedelta(seconds=60)

# One for each run of a worker, shared with the children that it forks: leases name it.
KEEPER_ID: Final = uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """Settings and open stores of this process."""

    settings: Settings
    database: Database[Document]
    ledger: Ledger
    runs: RunRecorder

    @classmethod
    def of(cls, settings: Settings, database: Database[Document], ledger: Ledger) -> Self:
        """One over stores that are open; its spool opens with the first run."""
        runs = RunRecorder.open(settings, ledger.cache.tally)
        return cls(settings, database, ledger, runs)


_opened: dict[int, WorkerProcess] = {}
_opening: dict[int, threading.Lock] = {}


def current(celery: Celery) -> WorkerProcess:
    """This process's own stores, opened at the first call, from any thread."""
    pid = os.getpid()
    # By process: a child must not wait for a lock that its parent held when it was forked.
    with _opening.setdefault(pid, threading.Lock()):
        if pid not in _opened:
            _opened[pid] = _open(celery)
        return _opened[pid]


def flush() -> None:
    """Returns when the copies of receipts are written that this process has had to write."""
    opened = _opened.get(os.getpid())
    if opened is not None:
        opened.ledger.cache.flush()


def _open(celery: Celery) -> WorkerProcess:
    settings = load_settings()
    database = connect(settings, role="worker", wait_s=5, answer_s=30)
    ledger = Ledger.open(settings, database, celery, patience=PATIENCE, writes_behind=True)
    return WorkerProcess.of(settings, database, ledger)
