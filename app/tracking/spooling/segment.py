"""The files of a spool: each is appended to by one process, and read by whoever drains the folder.

A segment is locked for as long as its writer may append to it. The system lets go of the lock
however that process ends, so a segment that nobody locks is complete, and a process without a
locked segment is dead.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.tracking.owner import Owner
from app.tracking.spooling.line import owner_line
from app.tracking.spooling.locked_file import LockedFile

# By the time they were begun, so that a process's own are read in its order.
NAME: Final = re.compile(r"[0-9]{20}-(?P<owner_id>[0-9a-f-]{36})\.jsonl")
DRAFT: Final = ".draft"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file, as a reader sees it."""

    path: Path
    owner_id: str
    size_bytes: int

    def is_abandoned(self) -> bool:
        """Whether nobody will append to it any more."""
        with self.path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def first_line(self) -> bytes:
        with self.path.open("rb") as file:
            return file.readline()

    def read(self, offset: int, *, most_bytes: int) -> list[bytes]:
        """The next whole lines; those that fit, or a single longer one. Empty: there is none."""
        with self.path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(most_bytes)
            if b"\n" not in chunk:
                chunk += file.readline()
        return chunk[: chunk.rfind(b"\n") + 1].splitlines(keepends=True)


def segments(folder: Path) -> Iterator[Segment]:
    """Those of the folder, in no order; none where it does not exist."""
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if found := NAME.fullmatch(entry.name):
                try:
                    size_bytes = entry.stat().st_size
                except FileNotFoundError:  # just removed
                    continue
                yield Segment(Path(entry.path), found["owner_id"], size_bytes)


class SegmentWriter:
    """An open segment of this process. Not thread-safe."""

    def __init__(self, folder: Path, owner: Owner, *, number: int) -> None:
        """Locked before others can see it; `OSError` where that cannot be.

        `number` grows from one of the owner's segments to the next.
        """
        path = folder / f"{number:020d}-{owner.owner_id}.jsonl"
        draft = path.with_suffix(DRAFT)
        self.size_bytes = 0
        self._file = LockedFile(draft, flags=os.O_EXCL | os.O_APPEND)
        try:
            self.append(owner_line(owner))
            self._own_bytes = self.size_bytes
            draft.rename(path)
        except OSError:
            self.close()
            draft.unlink(missing_ok=True)
            raise

    def append(self, line: bytes) -> None:
        """The whole line, or nothing of it and an `OSError`."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file.descriptor, rest) :]
        except OSError:
            os.ftruncate(self._file.descriptor, self.size_bytes)
            raise
        self.size_bytes += len(line)

    def has_lines(self) -> bool:
        """Whether it says more than whose it is."""
        return self.size_bytes > self._own_bytes

    def is_removed(self) -> bool:
        """Whether somebody deleted the file under us."""
        return os.fstat(self._file.descriptor).st_nlink == 0

    def close(self) -> None:
        self._file.close()
