"""What spools wrote, on its way into the table: in order, each row once, whoever dies in between.

One drainer at a time has a folder. How far it has read, it only remembers: the next one reads
again from the start, and storing a line twice changes nothing.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from app.errors import WaybillError
from app.tracking.abandonment import close_of
from app.tracking.client import RDSClient, RowsAwayError, RowsRefusedError
from app.tracking.owner import Owner
from app.tracking.spooling.bulk import is_flaw, store
from app.tracking.spooling.line import Line, owner_of, read_line
from app.tracking.spooling.locked_file import LockedFile
from app.tracking.spooling.segment import DRAFT, Segment, segments

log = structlog.get_logger(__name__)

LOCK: Final = "drain.lock"
REFUSED: Final = "refused.jsonl"
REFUSED_BYTES: Final = 16 * 1024 * 1024
BATCH_LINES: Final = 2_000
BATCH_BYTES: Final = 4 * 1024 * 1024
DRAFT_LIFE_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one batch came to. `is_last`: nothing more waited when it was read."""

    stored: int  # runs that are new in the table
    refused: int  # lines that never will be
    closed: int  # runs of dead processes
    waiting_bytes: int
    is_last: bool


@dataclass(slots=True)
class _Batch:
    """Lines of several segments, and how far each is read once they are stored."""

    lines: list[tuple[bytes, Line | None]] = field(default_factory=list)
    size_bytes: int = 0
    offsets: dict[Path, int] = field(default_factory=dict)
    is_full: bool = False  # what comes after it waits for the next one


class Drain:
    """The reader of one folder. Not thread-safe."""

    def __init__(self, folder: Path, client: RDSClient) -> None:
        self._folder = folder
        self._client = client
        self._read: dict[Path, int] = {}
        self._owners: dict[Path, Owner] = {}

    def owners(self) -> list[Owner]:
        """The processes that live: those whose segment is locked."""
        living = [each for each in segments(self._folder) if not each.is_abandoned()]
        found = {each.owner_id: self._owner(each) for each in living}
        return [owner for owner in found.values() if owner is not None]

    def waiting_bytes(self) -> int:
        """What is not stored yet, without a look at the table."""
        return sum(each.size_bytes - self._read.get(each.path, 0) for each in self._ordered())

    def round(self) -> Round:
        """Stores one batch, and removes what is read to its end.

        `RowsAwayError` where PostgreSQL is away, `RowsRefusedError` where it takes no row
        whatever; then nothing is forgotten, and the call may be repeated.
        """
        found = self._ordered()
        self._forget_others(found)
        batch = self._next_batch(found)
        stored, refused = self._store(batch.lines)
        self._read.update(batch.offsets)
        closed = self._remove_complete()
        return Round(
            stored=stored,
            refused=refused,
            closed=closed,
            waiting_bytes=self.waiting_bytes(),
            is_last=not batch.is_full,
        )

    def _ordered(self) -> list[Segment]:
        return sorted(segments(self._folder), key=lambda each: each.path.name)

    def _forget_others(self, found: Sequence[Segment]) -> None:
        there = {each.path for each in found}
        self._read = {path: offset for path, offset in self._read.items() if path in there}
        self._owners = {path: owner for path, owner in self._owners.items() if path in there}

    def _next_batch(self, found: Sequence[Segment]) -> _Batch:
        batch = _Batch()
        for segment in found:
            if batch.is_full:
                break
            self._add(segment, batch)
        return batch

    def _add(self, segment: Segment, batch: _Batch) -> None:
        offset = self._read.get(segment.path, 0)
        if offset == segment.size_bytes:
            return
        most_bytes = BATCH_BYTES - batch.size_bytes
        lines = segment.read(offset, most_bytes=most_bytes)
        taken = lines[: BATCH_LINES - len(batch.lines)]
        is_cut = len(taken) < len(lines) or segment.size_bytes - offset > most_bytes
        for line in taken:
            if offset:  # the first line is the owner's
                batch.lines.append((line, _parsed(line, segment.owner_id)))
            batch.size_bytes += len(line)
            offset += len(line)
        batch.offsets[segment.path] = offset
        has_room = len(batch.lines) < BATCH_LINES and batch.size_bytes < BATCH_BYTES
        batch.is_full = bool(lines) and (is_cut or not has_room)

    def _store(self, lines: Sequence[tuple[bytes, Line | None]]) -> tuple[int, int]:
        """Stores them, and sets those aside that can never be; how many runs, and lines, it was."""
        good = [line for _, line in lines if line is not None]
        bad = [line for line, parsed in lines if parsed is None]
        stored = 0
        try:
            if good:
                stored = store(self._client, good)
        except (RowsAwayError, RowsRefusedError) as exc:
            if not is_flaw(exc):
                raise
            if len(lines) > 1:
                half = len(lines) // 2
                first, second = self._store(lines[:half]), self._store(lines[half:])
                return first[0] + second[0], first[1] + second[1]
            bad = [lines[0][0]]
        if bad:
            self._set_aside(bad)
        return stored, len(bad)

    def _set_aside(self, lines: Sequence[bytes]) -> None:
        path = self._folder / REFUSED
        if path.exists() and path.stat().st_size > REFUSED_BYTES:
            path.replace(path.with_suffix(".old.jsonl"))
        with path.open("ab") as file:
            file.writelines(lines)
        log.error("tracking.line_refused", lines=len(lines), kept_in=REFUSED)

    def _remove_complete(self) -> int:
        """Removes what is read and has no writer; closes what its dead writer left in progress."""
        closed = 0
        found = self._ordered()
        left = Counter(each.owner_id for each in found)
        for segment in found:
            is_reached = segment.path in self._read or not segment.size_bytes
            if not is_reached or not segment.is_abandoned() or not self._is_read(segment):
                continue
            left[segment.owner_id] -= 1
            if left[segment.owner_id] == 0 and self._is_last(segment):
                closed += self._close_runs(segment)
            segment.path.unlink()
        self._remove_drafts()
        return closed

    def _is_read(self, segment: Segment) -> bool:
        """Of a segment without a writer: whether every whole line of it is stored."""
        offset, size_bytes = self._read.get(segment.path, 0), segment.path.stat().st_size
        if offset == size_bytes:
            return True
        if segment.read(offset, most_bytes=BATCH_BYTES):
            return False
        log.warning("tracking.torn_line", size_bytes=size_bytes - offset)
        return True

    def _is_last(self, segment: Segment) -> bool:
        """Looks again: a writer begins its next one before it lets go of this."""
        others = (each for each in segments(self._folder) if each.path != segment.path)
        return all(each.owner_id != segment.owner_id for each in others)

    def _close_runs(self, segment: Segment) -> int:
        owner = self._owner(segment)
        who = "its process" if owner is None else f"process {owner.process_id} on {owner.host}"
        closed = close_of(self._client, [segment.owner_id], note=f"abandoned: {who} has ended")
        if closed:
            log.warning("tracking.closed_for_dead", runs=closed)
        return closed

    def _owner(self, segment: Segment) -> Owner | None:
        if segment.path not in self._owners:
            try:
                self._owners[segment.path] = owner_of(segment.first_line())
            except ValueError:
                return None
        return self._owners[segment.path]

    def _remove_drafts(self) -> None:
        """Those of processes that died while they began one."""
        for path in self._folder.glob(f"*{DRAFT}"):
            with suppress(FileNotFoundError):  # it may just have got its name
                if time.time() - path.stat().st_mtime > DRAFT_LIFE_S:
                    path.unlink()


class DrainLockedError(WaybillError):
    """Another process drains the folder."""


@contextmanager
def sole_drainer(folder: Path) -> Iterator[None]:
    """Within the block nobody else drains the folder; `DrainLockedError` where somebody does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = LockedFile(folder / LOCK)
    except BlockingIOError as exc:
        raise DrainLockedError("Another process drains the folder") from exc
    try:
        yield
    finally:
        lock.close()


def _parsed(line: bytes, owner_id: str) -> Line | None:
    try:
        return {**read_line(line), "owner_id": owner_id}
    except (ValueError, KeyError):
        return None
