"""Deleting a bucket: with its objects and batches, not with the documents made of them."""

from collections.abc import Iterator
from typing import Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.resources.batch import BatchStore
from app.resources.batch_member import all_of
from app.resources.bucket import Bucket, BucketStore
from app.resources.launch import launch
from app.resources.removal import Range, ids_of

TASK_TYPE: Final = "api_buckets_delete"


def delete_bucket(
    buckets: BucketStore, batches: BatchStore, ledger: Ledger, *, bucket: Bucket, task: NewTask
) -> Receipt:
    """The task that deletes what is in the bucket; the bucket itself is gone with this call.

    `AlreadyExistsError` while one of its batches has not ended, `NotFoundError` where somebody
    else deleted it meanwhile.
    """

    def start(_: Document, session: ClientSession) -> bool:
        # In this order: whoever submits a batch meanwhile writes to the bucket as well, so one of
        # the two begins anew.
        is_there = buckets.remove(bucket, session)
        if (open_id := batches.any_open(bucket, session)) is not None:
            raise AlreadyExistsError(
                f"The batch '{open_id}' of the bucket '{bucket.bucket_name}' has not ended: "
                "cancel it, or wait for it"
            )
        return is_there

    receipt = launch(ledger, task, start)
    if receipt is None:
        raise NotFoundError(f"There is no bucket '{bucket.bucket_id}'")
    return receipt


def contents(database: Database[Document], bucket_id: str, *, namespace_id: str) -> Iterator[Range]:
    """What lies in a bucket, what belongs to its batches before the batches themselves."""
    batches = {"namespace_id": namespace_id, "bucket_id": bucket_id}
    for batch_id in ids_of(database, "batches", batches):
        yield Range("batch_members", all_of(batch_id))
        yield Range("failed_documents", {"batch_id": batch_id})
    yield Range("batches", batches)
    yield Range("objects", {"bucket_id": bucket_id})
