"""A disk on the way to the table, for processes that must not wait for PostgreSQL.

A start and an end are a line each, appended to a file of this process. Nothing is synced to the
disk: what a machine loses that goes down is known elsewhere. `app.tracking.spooling.drain` stores
the lines in the table.
"""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from psycopg.conninfo import conninfo_to_dict

from app.settings import Settings
from app.tracking.client import RowsAwayError, RowsRefusedError
from app.tracking.event import ProcessingEvent
from app.tracking.owner import new_owner
from app.tracking.rows import IdType, Rows
from app.tracking.spooling.line import end_line, start_line
from app.tracking.spooling.segment import SegmentWriter, segments

log = structlog.get_logger(__name__)

# Small ones are soon removed, so that what was drained takes no room. What all processes have open
# does, drained or not: each keeps a small part of the room.
SEGMENT_BYTES: Final = 256 * 1024
SEGMENTS_IN_ROOM: Final = 256
LOOK_EVERY_S: Final = 1.0
REST_AFTER_ERROR_S: Final = 10.0
# Ends that the disk refused are kept in memory, and written with the next line.
MOST_LATE: Final = 10_000
SECRETS: Final = frozenset({"user", "password", "passfile", "sslpassword"})
DIGEST_HEX_DIGITS: Final = 16


class SpoolFullError(RowsRefusedError):
    """So much waits for PostgreSQL already that no further run is taken."""


class Spool:
    """`Rows` of one process; thread-safe. Each reference is started once, whoever starts it.

    The folder holds about `most_bytes` at most: beyond, starts raise `SpoolFullError`. Ends of
    runs that were taken are always written: those that meet a disk that is full or closed to us
    with the next line. A start that meets one is a `RowsAwayError`.
    """

    def __init__(self, folder: Path, *, most_bytes: int, table: Callable[[], Rows]) -> None:
        """`table` opens where runs are found; called once, when that is first asked for."""
        self.owner = new_owner()
        self._folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = min(SEGMENT_BYTES, most_bytes // SEGMENTS_IN_ROOM)
        self._table = table
        self._found_in: Rows | None = None
        self._lock = threading.Lock()
        self._writer: SegmentWriter | None = None
        self._number = 0
        self._late: deque[bytes] = deque(maxlen=MOST_LATE)
        self._size_bytes = 0
        self._look_at_s = 0.0
        self._rest_until_s = 0.0

    def takes_starts(self) -> bool:
        """Whether another run is likely to be taken: not when full, nor soon after an error."""
        with self._lock:
            if time.monotonic() < self._rest_until_s:
                return False
            try:
                self._look()
            except OSError as exc:
                self._rest_after(exc)
                return False
            return self._size_bytes < self._most_bytes

    def start(self, event: ProcessingEvent) -> ProcessingEvent:
        line = start_line(event)
        with self._lock:
            try:
                self._look()
                if self._size_bytes >= self._most_bytes:
                    raise SpoolFullError("So much waits for PostgreSQL that no run is taken")
                self._catch_up()
                self._write(line)
            except OSError as exc:
                raise self._rest_after(exc) from exc
        return event

    def finish(self, event: ProcessingEvent) -> bool:
        line = end_line(event)
        with self._lock:
            self._late.append(line)
            try:
                self._look()
                self._catch_up()
            except OSError as exc:
                reason = str(self._rest_after(exc))
                log.warning("tracking.end_late", reason=reason, waiting=len(self._late))
        return True

    def find(
        self, service_name: str, processor_name: str, id_value: str, id_type: IdType
    ) -> ProcessingEvent | None:
        """The run as the table has it, some seconds after it was written here."""
        with self._lock:
            if self._found_in is None:
                self._found_in = self._table()
        return self._found_in.find(service_name, processor_name, id_value, id_type)

    def close(self) -> None:
        """Lets go of the file: what it says is then all of this process."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _rest_after(self, exc: OSError) -> RowsAwayError:
        self._rest_until_s = time.monotonic() + REST_AFTER_ERROR_S
        return RowsAwayError(f"The spool of runs cannot be written ({exc.strerror})")

    def _look(self) -> None:
        if time.monotonic() < self._look_at_s:
            return
        self._look_at_s = time.monotonic() + LOOK_EVERY_S
        self._size_bytes = sum(each.size_bytes for each in segments(self._folder))
        if self._writer is not None and self._writer.is_removed():
            self._writer.close()
            self._writer = None
        if self._size_bytes >= self._most_bytes and self._writer and self._writer.has_lines():
            self._begin_another()  # or what the file holds would take its room for ever

    def _catch_up(self) -> None:
        while self._late:
            self._write(self._late[0])
            self._late.popleft()

    def _write(self, line: bytes) -> None:
        if self._writer is None or self._writer.size_bytes >= self._segment_bytes:
            self._begin_another()
        assert self._writer is not None
        self._writer.append(line)
        self._size_bytes += len(line)

    def _begin_another(self) -> None:
        """The new one first: who has no segment counts as dead."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number = max(time.time_ns(), self._number + 1)  # a clock may be set back
        new = SegmentWriter(self._folder, self.owner, number=self._number)
        old, self._writer = self._writer, new
        if old is not None:
            old.close()


def spool_folder(settings: Settings, postgres_url: str) -> Path:
    """The folder of this database's runs: who may sign in there as whom does not matter."""
    if settings.spool_dir is not None:
        return settings.spool_dir
    parts = conninfo_to_dict(postgres_url)
    place = {key: str(value) for key, value in parts.items() if key not in SECRETS}
    digest = hashlib.sha256(json.dumps(place, sort_keys=True).encode()).hexdigest()
    return settings.data_dir.expanduser() / "spool" / digest[:DIGEST_HEX_DIGITS]
