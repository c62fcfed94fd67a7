"""The objects of a batch: one small row each, keyed by batch and object, in the order of ids."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from pymongo import InsertOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.database import Document, is_only_duplicates
from app.receipts.receipt import Piece
from app.resources.batch import Batch, BatchStore
from app.resources.bucket import Bucket

COLLECTION: Final = "batch_members"
OBJECTS: Final = "objects"
ROWS_PER_WRITE: Final = 1_000

# Object ids are ASCII letters, digits and '_', all of which sort after '/'.
SEPARATOR: Final = "/"
AFTER_SEPARATOR: Final = "0"


class BatchMemberStore:
    """Adds objects to drafts, and cuts the members of a batch into chunks."""

    def __init__(self, database: Database[Document], batches: BatchStore) -> None:
        self._members = database[COLLECTION]
        self._objects = database[OBJECTS]
        self._batches = batches

    def missing(self, bucket: Bucket, object_ids: Sequence[str]) -> list[str]:
        """Those of the ids, in order, that are no objects of the bucket."""
        found: set[str] = set()
        for part in _parts(object_ids):
            query = {
                "_id": {"$in": part},
                "bucket_id": bucket.bucket_id,
                "namespace_id": bucket.namespace_id,
            }
            found.update(row["_id"] for row in self._objects.find(query, {"_id": 1}))
        return [object_id for object_id in object_ids if object_id not in found]

    def add(self, batch: Batch, object_ids: Iterable[str]) -> bool:
        """Adds objects, each once, and whether the batch was still a draft afterwards.

        A batch that was submitted in the middle keeps the count, and may have some of them.
        """
        for part in _parts(object_ids):
            writes = [InsertOne({"_id": _key(batch.batch_id, one)}) for one in part]
            try:
                self._members.bulk_write(writes, ordered=False)
            except BulkWriteError as exc:
                if not is_only_duplicates(exc):
                    raise
        count = self._members.count_documents(all_of(batch.batch_id))
        return self._batches.set_object_count(batch.batch_id, count)

    def pieces(self, batch_id: str, *, size: int) -> Iterator[Piece]:
        """The batch in chunks of at most `size` objects, the same ones each time."""
        ids = self.ids(batch_id)
        for ordinal, part in enumerate(iter(lambda: list(islice(ids, size)), [])):
            yield Piece(ordinal, inputs=[batch_id, part[0], part[-1]], units=len(part))

    def ids(self, batch_id: str, first: str = "", last: str | None = None) -> Iterator[str]:
        """The object ids from `first` to `last`, both included, in order."""
        end = {"$lt": batch_id + AFTER_SEPARATOR}
        if last is not None:
            end = {"$lte": _key(batch_id, last)}
        bounds = {"$gte": _key(batch_id, first), **end}
        for row in self._members.find({"_id": bounds}).sort("_id", 1):
            yield row["_id"].split(SEPARATOR, 1)[1]


def _key(batch_id: str, object_id: str) -> str:
    return f"{batch_id}{SEPARATOR}{object_id}"


def all_of(batch_id: str) -> Document:
    """The condition on the rows of a batch."""
    return {"_id": {"$gte": batch_id + SEPARATOR, "$lt": batch_id + AFTER_SEPARATOR}}


def _parts(object_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = iter(object_ids)
    return iter(lambda: list(islice(ids, ROWS_PER_WRITE)), [])
