"""What one worker process has open: settings, MongoDB and the receipts.

Opened at first use, so never before a fork: a client does not survive one. A child that is
forked later forgets what its parent had open and opens its own.
"""

import os
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from celery import Celery
from pymongo.database import Database

from app.database import Document, connect
from app.receipts.ledger import Ledger
from app.settings import Settings, load_settings

# How long a store operation of a job outlasts a MongoDB that is away.
PATIENCE: Final = timedelta(seconds=60)

# One for each run of a worker, shared with the children that it forks: leases name it.
KEEPER_ID: Final = uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """Settings and open stores of this process."""

    settings: Settings
    database: Database[Document]
    ledger: Ledger


_opened: dict[int, WorkerProcess] = {}


def current(celery: Celery) -> WorkerProcess:
    """This process's own stores, opened at the first call."""
    pid = os.getpid()
    if pid not in _opened:
        settings = load_settings()
        database = connect(settings, role="worker", wait_s=5)
        ledger = Ledger.open(settings, database, celery, patience=PATIENCE)
        _opened.clear()
        _opened[pid] = WorkerProcess(settings, database, ledger)
    return _opened[pid]
