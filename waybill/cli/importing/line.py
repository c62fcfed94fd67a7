"""Lines of a file of any size, with the place and the digest of what was read so far."""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from waybill.cli.importing.position import ChangedError, EntryError, Position

# A server takes 32 MiB in one request unless told otherwise, and a larger line is none of ours.
MAX_LINE_BYTES: Final = 24 * 1024 * 1024
BLOCK_BYTES: Final = 1024 * 1024
MARK: Final = b"\xef\xbb\xbf"  # of UTF-8, which spreadsheets put first


class Lines:
    """Iterates over the lines as text, each with its line break, from a position on.

    A line that is no UTF-8, or is too long, raises `EntryError`; the next one can be read after it.
    """

    def __init__(self, path: Path, start: Position) -> None:
        self._file = path.open("rb")
        self._offset, self._number = start.offset, start.number
        self._digest = hashlib.blake2b(digest_size=16)
        try:
            self._pass(path.name, start)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(MAX_LINE_BYTES)
        if not raw:
            raise StopIteration
        first = self._offset == 0
        self._number += 1
        self._take(raw)
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            self._skip_line()
            raise EntryError(f"the line is longer than {MAX_LINE_BYTES:,} bytes")
        try:
            return raw.removeprefix(MARK).decode() if first else raw.decode()
        except UnicodeDecodeError as exc:
            raise EntryError("the line is no UTF-8 text") from exc

    @property
    def position(self) -> Position:
        """The place after the last line."""
        return Position(self._offset, self._number, self._digest.hexdigest())

    def _pass(self, name: str, start: Position) -> None:
        """Reads what lies before the start, so that the digest goes on, and compares it."""
        left = start.offset
        while left and (block := self._file.read(min(left, BLOCK_BYTES))):
            self._digest.update(block)
            left -= len(block)
        if start.offset and (left or self._digest.hexdigest() != start.digest):
            raise ChangedError(f"the first {start.number:,} lines of {name} are not what they were")

    def _take(self, raw: bytes) -> None:
        self._offset += len(raw)
        self._digest.update(raw)

    def _skip_line(self) -> None:
        while raw := self._file.readline(BLOCK_BYTES):
            self._take(raw)
            if raw.endswith(b"\n"):
                return
