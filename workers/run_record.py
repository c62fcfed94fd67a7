"""Each attempt of each job is one run in PostgreSQL, written to a disk on the way there.

Recording never fails or holds up a job: the receipt is the truth, and a run that cannot be
recorded is counted.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Self

import structlog

from app.receipts.receipt import Receipt
from app.receipts.tally import OTHER, Measure, Tally, added
from app.settings import Settings
from app.tracking.owner import new_owner
from app.tracking.payload import Payload, encode, taken
from app.tracking.pool import LazyPool
from app.tracking.spooling.spool import Spool, spool_folder
from app.tracking.table import EventTable
from app.tracking.tracker import ProcessingTracker
from workers.attempt import Attempt
from workers.exit import LeaseLostError
from workers.failure import describe
from workers.outcome import Outcome

log = structlog.get_logger(__name__)

DROPPED: Final = "dropped"
TELL_EVERY_S: Final = 60.0
# Beyond, the row names the receipt in their place.
MOST_INPUT_BYTES: Final = 1024 * 1024
LOST: Final = "the lease was lost: another attempt may have the task"


class RunRecorder:
    """The runs of this process; thread-safe."""

    def __init__(self, service_name: str, spool: Spool | None, tally: Tally) -> None:
        """Without a spool nothing is recorded."""
        self._service_name = service_name
        self._spool = spool
        self._tally = tally
        self._lock = threading.Lock()
        self._dropped = 0
        self._tell_at_s = 0.0

    @classmethod
    def open(cls, settings: Settings, tally: Tally) -> Self:
        """Nothing is opened before the first run; without a PostgreSQL, nothing ever."""
        url = settings.postgres_url
        if url is None:
            return cls(settings.service_name, None, tally)
        spool = Spool(
            spool_folder(settings, url),
            most_bytes=settings.spool_mib * 1024 * 1024,
            table=lambda: EventTable(LazyPool(url, most=1), new_owner()),
        )
        return cls(settings.service_name, spool, tally)

    @contextmanager
    def recorded(self, attempt: Attempt) -> Iterator[None]:
        """One run, from the block's beginning to its end, however it is left."""
        run = None if self._spool is None else self._begun(attempt.receipt, self._spool)
        if run is None:
            yield
            return
        try:
            yield
        except BaseException as exc:
            run.end(attempt.outcome or _left_by(exc))
            raise
        run.end(attempt.outcome or Outcome(True))

    def _begun(self, receipt: Receipt, spool: Spool) -> "_Run | None":
        try:
            if spool.takes_starts():
                tracker = ProcessingTracker(self._service_name, receipt.task_type, spool)
                event = payload(receipt)
                processing_id = tracker.start_event(reference(receipt), event, receipt.units)
                if processing_id is not None:
                    return _Run(tracker, processing_id)
        # A type whose name no index can hold, or a job that uses this very tracker for itself.
        except (ValueError, RuntimeError, OSError) as exc:
            log.warning("tracking.start_failed", reason=str(exc))
        self._drop()
        return None

    def _drop(self) -> None:
        """Counts a run that is not recorded, and tells of them once a minute."""
        with self._lock:
            self._dropped += 1
            if time.monotonic() < self._tell_at_s:
                return
            self._tell_at_s = time.monotonic() + TELL_EVERY_S
            dropped, self._dropped = self._dropped, 0
        log.warning("tracking.dropped", runs=dropped)
        self._tally.add(added(Measure.RECORDED, DROPPED, OTHER, dropped))


@dataclass(frozen=True, slots=True)
class _Run:
    """One that is in progress."""

    tracker: ProcessingTracker
    processing_id: str

    def end(self, outcome: Outcome) -> None:
        try:
            self.tracker.end_event(
                self.processing_id,
                success=outcome.success,
                status_note=outcome.note,
                output_rows=outcome.output_rows,
            )
        except (ValueError, RuntimeError, OSError) as exc:  # as at the start
            log.warning("tracking.end_failed", reason=str(exc))


def reference(receipt: Receipt) -> str:
    """What the run of this attempt is called: no other run ever is."""
    attempt = f"{receipt.task_id}/{receipt.attempt}"
    if not receipt.fanned_out:
        return attempt
    again = f"/{receipt.conclusions}" if receipt.conclusions > 1 else ""
    return f"{attempt}{again}/conclusion"


def payload(receipt: Receipt) -> Payload:
    """What the attempt was given, its inputs as far as PostgreSQL can hold them.

    `left_out` says of each other one, by its place, why it stands as null.
    """
    fields: dict[str, object] = {
        "namespace_id": receipt.namespace_id,
        "task_id": receipt.task_id,
        "attempt": receipt.attempt,
    }
    with suppress(ValueError):
        whole = taken({**fields, "inputs": receipt.inputs})
        if len(whole.text.encode()) <= MOST_INPUT_BYTES:
            return whole
    kept: list[object] = []
    left_out: dict[str, str] = {}
    room_bytes = MOST_INPUT_BYTES
    for place, value in enumerate(receipt.inputs):
        reason, size_bytes = _weighed(value, room_bytes)
        room_bytes -= size_bytes
        kept.append(None if reason else value)
        if reason:
            left_out[str(place)] = reason
    return taken({**fields, "inputs": kept, "left_out": left_out})


def _weighed(value: object, room_bytes: int) -> tuple[str | None, int]:
    """Why the input is left out, or None, and how much room it takes."""
    try:
        size_bytes = len(encode({"input": value}).encode())
    except ValueError as exc:
        return str(exc), 0
    if size_bytes > room_bytes:
        return f"{size_bytes} bytes of JSON: the receipt has it", 0
    return None, size_bytes


def _left_by(exc: BaseException) -> Outcome:
    """Of an attempt whose end could not be stored on its receipt."""
    if isinstance(exc, LeaseLostError):
        return Outcome(False, LOST)
    if isinstance(exc, Exception):
        return Outcome(False, describe(exc, transient_errors=()).message)
    return Outcome(False, f"its process was told to end ({type(exc).__name__})")
