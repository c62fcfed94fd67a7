"""What all that can be imported have in common."""

from collections.abc import Iterator
from typing import Protocol

from waybill.cli.importing.position import Entry, Position


class Source(Protocol):
    """A file or a folder, read from any position once more, in the same order, in little memory."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def unit(self) -> str:
        """What the numbers of positions count, in the plural."""

    def size(self) -> int:
        """How much there is, as the offsets of positions count it."""

    def entries(self, start: Position) -> Iterator[Entry]:
        """What comes after `start`.

        Raises `ChangedError` where what lies before it is no longer what it was, and `CommandError`
        where nothing can be read at all.
        """
