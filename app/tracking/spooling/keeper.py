"""What one process of a machine does for the runs of all: drains, is heard, closes, forgets."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from app.tracking.abandonment import close_abandoned
from app.tracking.client import RDSClient, RowsRefusedError
from app.tracking.owner import BEAT_EVERY_S, beat, new_owner, purge_owners
from app.tracking.schema import apply_migrations
from app.tracking.spooling.drain import Drain, Round
from app.tracking.spooling.retention import PURGED_AT_ONCE, purge_runs

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 10.0
PURGE_EVERY_S: Final = 3_600.0


class RunKeeper:
    """Call `tick` every second or so, from one thread, while nobody else drains the folder.

    A call that raises has done some of its duties; the next one does them again.
    """

    def __init__(self, folder: Path, client: RDSClient, *, retention: timedelta) -> None:
        self._drain = Drain(folder, client)
        self._client = client
        self._retention = retention
        self._owner = new_owner()
        self._is_migrated = False
        self._beat_at_s = self._sweep_at_s = self._purge_at_s = 0.0

    def tick(self) -> Round:
        """One batch from the folder, and what else is due.

        `RowsAwayError` where PostgreSQL is away; `RowsRefusedError` where it would take nothing.
        """
        try:
            return self._do_what_is_due()
        except RowsRefusedError:
            self._is_migrated = False  # it may be another database now, or a new one
            raise

    def _do_what_is_due(self) -> Round:
        if not self._is_migrated:
            apply_migrations(self._client)
            self._is_migrated = True
        if self._is_due(self._beat_at_s):
            beat(self._client, [self._owner, *self._drain.owners()])
            self._beat_at_s = time.monotonic() + BEAT_EVERY_S
        done = self._drain.round()
        if self._is_due(self._sweep_at_s):
            close_abandoned(self._client, by=self._owner.owner_id)
            self._sweep_at_s = time.monotonic() + SWEEP_EVERY_S
        if self._is_due(self._purge_at_s):
            self._purge()
        return done

    def waiting_bytes(self) -> int:
        """What the folder holds that is not in the table."""
        return self._drain.waiting_bytes()

    def _purge(self) -> None:
        purge_owners(self._client)
        purged = purge_runs(self._client, after=self._retention)
        if purged:
            log.info("tracking.purged", runs=purged)
        if purged < PURGED_AT_ONCE:  # else the next step follows with the next call
            self._purge_at_s = time.monotonic() + PURGE_EVERY_S

    def _is_due(self, at_s: float) -> bool:
        return time.monotonic() >= at_s
