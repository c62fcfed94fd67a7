"""A thread that writes the copies of a busy process, many in one round trip.

The first after a quiet moment goes at once; what comes while it is under way, and for a moment
after that, goes together. What of one task comes together is one copy, the newest.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from app.receipts.receipt import Receipt
from app.receipts.tally import Counts, added_up

log = structlog.get_logger(__name__)

# From the beginning of one round trip to that of the next.
WRITE_EVERY_S: Final = 0.02
FLUSHED_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Written:
    """A receipt that was written to MongoDB: what it adds to the counts, and whether others are
    to be told of it.
    """

    receipt: Receipt
    counts: Counts = field(default_factory=dict)
    is_event: bool = False


class WriteBehind:
    """Hands to `write` what was added, from a thread of its own; thread-safe."""

    def __init__(self, write: Callable[[Sequence[Written]], None]) -> None:
        """`write` is called in one thread at a time, with a copy of each task at most."""
        self._write = write
        self._waiting: dict[str, Written] = {}
        self._changed = threading.Condition()
        self._is_writing = False
        self._thread: threading.Thread | None = None

    def add(self, written: Written) -> None:
        """Returns at once."""
        task_id = written.receipt.task_id
        with self._changed:
            before = self._waiting.get(task_id)
            self._waiting[task_id] = written if before is None else _merged(before, written)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="receipt-copies", daemon=True)
                thread.start()  # may be refused; then the next to come tries again
                self._thread = thread
            self._changed.notify_all()

    def flush(self) -> None:
        """Returns when nothing waits any more, or after two seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._waiting and not self._is_writing, FLUSHED_WITHIN_S
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                written, self._waiting = list(self._waiting.values()), {}
                self._is_writing = True
            again_at_s = time.monotonic() + WRITE_EVERY_S
            try:
                self._write(written)
            # The root of a thread: without it, nothing would be written here any more.
            except Exception as exc:  # noqa: BLE001
                log.warning("receipt.copies_failed", error=type(exc).__name__, reason=str(exc))
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
            time.sleep(max(0.0, again_at_s - time.monotonic()))


def _merged(one: Written, other: Written) -> Written:
    newest = max(one.receipt, other.receipt, key=lambda receipt: receipt.version)
    counts = added_up([one.counts, other.counts])
    return Written(newest, counts, one.is_event or other.is_event)
