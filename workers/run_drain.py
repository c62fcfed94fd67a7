"""Stores in PostgreSQL what the processes of this machine wrote of their runs.

A thread of each worker's parent process, of which one at a time drains a folder; when it dies,
another takes over.
"""

import shutil
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from celery import bootsteps
from pymongo.errors import PyMongoError

from app.errors import PermanentError, TransientError
from app.receipts.pulse import SpoolState
from app.receipts.tally import OTHER, Measure, added
from app.settings import load_settings
from app.tracking.pool import LazyPool
from app.tracking.spooling.drain import DrainLockedError, Round, sole_drainer
from app.tracking.spooling.keeper import RunKeeper
from app.tracking.spooling.spool import spool_folder
from workers import process

log = structlog.get_logger(__name__)

TICK_S: Final = 1.0
TAKE_OVER_S: Final = 5.0
TELL_EVERY_S: Final = 5.0
LONGEST_BACKOFF_S: Final = 10.0
STORED: Final = "stored"
REFUSED: Final = "refused"
# A disk with less room has none for the next line of a long list of inputs.
LITTLE_BYTES: Final = 1024 * 1024


class RunDrain(bootsteps.StartStopStep):
    """A step of the worker: starts the thread, where a PostgreSQL is set."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._thread: threading.Thread | None = None

    def start(self, parent: Any) -> None:
        """Nothing stops it: what runs to its end while the worker drains is recorded, too."""
        url = load_settings().postgres_url
        if url is None:
            return
        self._thread = threading.Thread(
            target=_keep, args=(parent.app, url), name="run-drain", daemon=True
        )
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Leaves the thread running, since children may still be at work."""


def _keep(celery: Any, url: str) -> None:
    pause = threading.Event()
    while True:
        try:
            _drain(process.current(celery), LazyPool(url, most=1), url, pause)
        except DrainLockedError:
            pass
        # The root of a thread: whatever it is, runs would wait until the worker starts again.
        except Exception as exc:  # noqa: BLE001
            log.warning("tracking.drain_failed", error=type(exc).__name__, reason=str(exc))
        pause.wait(TAKE_OVER_S)


def _drain(
    worker: process.WorkerProcess, connection: LazyPool, url: str, pause: threading.Event
) -> None:
    folder = spool_folder(worker.settings, url)
    try:
        with sole_drainer(folder):
            Shift(worker, folder, connection).work(pause)
    except OSError:
        _tell(worker, folder, SpoolState(0, takes_runs=False))
        raise
    finally:
        connection.close()


class Shift:
    """The time in which this process drains the folder."""

    def __init__(self, worker: process.WorkerProcess, folder: Path, connection: LazyPool) -> None:
        retention = timedelta(days=worker.settings.run_retention_days)
        self._worker = worker
        self._folder = folder
        self._keeper = RunKeeper(folder, connection, retention=retention)
        self._away_for_s = 0.0
        self._tell_at_s = 0.0

    def work(self, pause: threading.Event) -> None:
        """Until something else than PostgreSQL or MongoDB keeps it from it."""
        while True:
            rest_s = self._tick()
            if time.monotonic() >= self._tell_at_s:
                self._tell()
                self._tell_at_s = time.monotonic() + TELL_EVERY_S
            pause.wait(rest_s)

    def _tick(self) -> float:
        """Stores a batch, and returns the seconds to rest."""
        try:
            done = self._keeper.tick()
        except (TransientError, PermanentError) as exc:  # PostgreSQL is away, or refuses whatever
            if not self._away_for_s:
                log.warning("tracking.away", reason=str(exc))
            self._away_for_s = min(2 * self._away_for_s or TICK_S, LONGEST_BACKOFF_S)
            return self._away_for_s
        if self._away_for_s:
            log.info("tracking.back")
        self._away_for_s = 0.0
        self._count(done)
        return TICK_S if done.is_last else 0.0

    def _count(self, done: Round) -> None:
        counts = {
            **added(Measure.RECORDED, STORED, OTHER, done.stored),
            **added(Measure.RECORDED, REFUSED, OTHER, done.refused),
        }
        self._worker.ledger.cache.tally.add(counts)

    def _tell(self) -> None:
        waiting_bytes = self._keeper.waiting_bytes()
        has_room = (
            waiting_bytes < self._worker.settings.spool_mib * 1024 * 1024
            and shutil.disk_usage(self._folder).free >= LITTLE_BYTES
        )
        _tell(self._worker, self._folder, SpoolState(waiting_bytes, takes_runs=has_room))


def _tell(worker: process.WorkerProcess, folder: Path, state: SpoolState) -> None:
    """For health and metrics, which other processes answer."""
    try:
        worker.ledger.pulse.tell_spool(f"spool:{socket.gethostname()}:{folder}", state)
    except PyMongoError as exc:
        log.warning("tracking.tell_failed", error=type(exc).__name__)
