"""What one transaction of a migration writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.database import Document
from app.migrations.plan import Track
from app.receipts.write import Effect


@dataclass(frozen=True, slots=True)
class Step:
    """Some rows of a page, in order: `write` stores them, and what was made of them.

    `made` counts pairs of object and collection that were extracted, `failed` those of them that
    came to nothing.
    """

    rows: Sequence[Document]
    write: Effect
    made: int = 0
    failed: int = 0


class Writer(Protocol):
    """How rows of the source become rows of the target."""

    def expected(self, track: Track, rows: Sequence[Document]) -> list[Document]:
        """The rows as the target should have them, but for who wrote them and when."""

    def steps(self, track: Track, rows: Sequence[Document]) -> Iterator[Step]:
        """Steps that write all the rows, in order, those of the target's ids replaced."""

    def incomplete(self, track: Track, target_ids: Sequence[str]) -> set[str]:
        """Those of the target's rows of which not everything was made that should be."""

    def removal(self, track: Track, target_ids: Sequence[str]) -> Effect:
        """Takes rows of the target away, with all that was made of them."""
