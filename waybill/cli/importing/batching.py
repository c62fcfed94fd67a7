"""The batch of what an import stored: made once, filled, submitted, however often it is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from waybill.cli.importing.journal import Journal
from waybill.client import Client
from waybill.types import Batch, Task

IDS_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Batching:
    """Turns what the journal says was stored since the last batch into a batch."""

    client: Client
    journal: Journal
    bucket_id: str
    collections: Sequence[str]

    def draft(self) -> Batch:
        """The batch with all objects, unless it was submitted already."""
        batch_id = self.journal.standing.batch_id or self._made()
        batch = self.client.batches.get(batch_id)
        ids = self.journal.object_ids()
        while batch["status"] == "DRAFT" and (part := list(islice(ids, IDS_AT_ONCE))):
            batch = self.client.batches.add_objects(self.bucket_id, batch_id, part)
        return batch

    def submit(self) -> Task:
        """The task of the batch; the same one each time."""
        return self.client.batches.submit(self.bucket_id, self.draft()["batch_id"])

    def _made(self) -> str:
        standing = self.journal.standing
        batch = self.client.batches.create(
            self.bucket_id,
            object_ids=[],
            collection_ids=list(self.collections) or None,
            idempotency_key=f"import-{standing.import_id}-{standing.batches}",
        )
        self.journal.note_batch(batch["batch_id"])
        return batch["batch_id"]
