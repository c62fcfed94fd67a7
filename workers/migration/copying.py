"""Rows that are written as they are, under the target's ids."""

from collections.abc import Iterator, Sequence
from functools import partial

from app.database import Document
from app.migrations.document_map import DocumentMap
from app.migrations.migration import Migration
from app.migrations.plan import Track, TrackKind
from app.migrations.transfer import TransferStore
from app.receipts.draft import this_moment
from app.receipts.write import Effect
from workers.attempt import Attempt
from workers.migration.step import Step


class Copying:
    """Copies objects and documents."""

    def __init__(
        self,
        transfer: TransferStore,
        migration: Migration,
        attempt: Attempt,
        documents: DocumentMap,
    ) -> None:
        self._transfer = transfer
        self._migration = migration
        self._attempt = attempt
        self._documents = documents

    def expected(self, track: Track, rows: Sequence[Document]) -> list[Document]:
        if track.kind is TrackKind.DOCUMENTS:
            return self._documents.rows(rows)
        return [self._migration.ids.object_row(row) for row in rows]

    def steps(self, track: Track, rows: Sequence[Document]) -> Iterator[Step]:
        made = self.expected(track, rows)
        if track.kind is TrackKind.DOCUMENTS:
            made = [{**row, **self._signature()} for row in made]
        yield Step(rows, partial(self._transfer.write, track, made))

    def incomplete(self, track: Track, target_ids: Sequence[str]) -> set[str]:
        return set()

    def removal(self, track: Track, target_ids: Sequence[str]) -> Effect:
        return partial(self._transfer.delete, track, target_ids)

    def _signature(self) -> Document:
        """Who wrote a document: the audit holds these against the receipts."""
        return {
            "batch_id": self._migration.migration_id,
            "task_id": self._attempt.task_id,
            "attempt": self._attempt.number,
            "updated_at": this_moment(),
        }
