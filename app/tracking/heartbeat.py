"""The thread that says, for a process with runs in progress, that it lives."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from app.errors import WaybillError
from app.tracking.abandonment import close_abandoned, close_unknown, ended_among
from app.tracking.event import Outcome
from app.tracking.owner import BEAT_EVERY_S, beat, purge_owners
from app.tracking.table import EventTable

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 30.0
PURGE_EVERY_S: Final = 3_600.0
# A server that was cut off in the middle of a start may store it for so long.
DOUBT_FOR_S: Final = 60.0

STOPPED_WITHIN_S: Final = 5.0

Told = Callable[[str, Outcome], None]


class Heartbeat:
    """Beats for the owner of a table and keeps its rows tidy, in a daemon thread.

    `told` hears of runs of this process that were ended by another.
    """

    def __init__(self, table: EventTable, told: Told, *, every_s: float = BEAT_EVERY_S) -> None:
        self._table = table
        self._told = told
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking-heartbeat", daemon=True)
        self._sweep_at_s = time.monotonic() + SWEEP_EVERY_S
        self._purge_at_s = self._sweep_at_s
        self._doubt_until_s = 0.0

    def start(self) -> None:
        """Starts the thread; the first beat is now."""
        self._thread.start()

    def stop(self) -> None:
        """The thread ends after the statement that runs."""
        self._stopped.set()

    def join(self, within_s: float) -> None:
        """Waits for its end."""
        self._thread.join(within_s)

    def once(self) -> None:
        """One beat, and what is due with it."""
        client, owner = self._table.client, self._table.owner
        self._table.prepare()
        beat(client, [owner])
        now_s = time.monotonic()
        if self._table.holding.take_doubt():
            self._doubt_until_s = now_s + DOUBT_FOR_S
        if now_s < self._doubt_until_s:
            close_unknown(client, owner.owner_id, self._table.holding)
        if now_s >= self._sweep_at_s:
            self._sweep_at_s = now_s + SWEEP_EVERY_S
            self.sweep()
        if now_s >= self._purge_at_s:
            self._purge_at_s = now_s + PURGE_EVERY_S
            purge_owners(client)

    def sweep(self) -> None:
        """Ends rows of silent owners; tells of runs of ours that others have ended."""
        close_abandoned(self._table.client, by=self._table.owner.owner_id)
        held = self._table.holding.held()
        for processing_id, outcome in ended_among(self._table.client, held).items():
            self._table.holding.release(processing_id)
            self._told(processing_id, outcome)

    def _run(self) -> None:
        failed = False
        while not self._stopped.is_set():
            try:
                self.once()
                failed = False
            except WaybillError as exc:
                if not failed:
                    log.warning("tracking.heartbeat_failed", error=str(exc))
                failed = True
            except Exception:  # the edge of the thread: without it all rows would look abandoned
                log.exception("tracking.heartbeat_failed")
            self._stopped.wait(self._every_s)


def stop_all(heartbeats: Sequence[Heartbeat]) -> None:
    """Ends them; waits for statements that run, but not for slow ones."""
    for each in heartbeats:
        each.stop()
    until_s = time.monotonic() + STOPPED_WITHIN_S
    for each in heartbeats:
        each.join(max(0.0, until_s - time.monotonic()))
