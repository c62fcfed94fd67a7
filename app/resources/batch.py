"""Batches: which objects to process, with which collections, and the task that does it.

A submitted batch has no status of its own: its task's receipt has it. What the receipt said at
the end is copied here by a sweep, for the time after the receipt's retention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, insert_once
from app.errors import BadRequestError, NotFoundError
from app.identity import new_id
from app.query.field import FieldSet
from app.query.page import ListQuery, Page, list_page
from app.receipts.draft import this_moment
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.resources.bucket import Bucket, BucketStore
from app.resources.launch import launch
from app.resources.settlement import having, settle

COLLECTION: Final = "batches"
TASK_TYPE: Final = "api_buckets_batches_process"
MANY: Final = 1_000  # of a sweep
NOT_ITS_OWN: Final = frozenset({"_id", "followed_up", "owed"})

INDEXES: Final = [
    IndexModel(
        [
            ("namespace_id", ASCENDING),
            ("bucket_id", ASCENDING),
            ("created_at", DESCENDING),
            ("_id", DESCENDING),
        ]
    ),
    IndexModel([("outcome", ASCENDING), ("task_id", ASCENDING)]),
    IndexModel(
        [("followed_up", ASCENDING), ("status", ASCENDING)],
        partialFilterExpression={"followed_up": False},
    ),
    IndexModel([("owed", ASCENDING)], sparse=True),
]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch; `collection_ids` None means every collection that reads the bucket."""

    batch_id: str
    namespace_id: str
    bucket_id: str
    batch_name: str | None
    metadata: dict[str, object]
    collection_ids: list[str] | None
    chunk_objects: int | None
    object_count: int
    status: TaskStatusEnum
    task_id: str | None
    earlier_task_ids: list[str]
    outcome: dict[str, object] | None
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime | None

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The stored document."""
        fields = {key: value for key, value in document.items() if key not in NOT_ITS_OWN}
        fields["status"] = TaskStatusEnum(fields["status"])
        return cls(batch_id=document["_id"], **fields)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a submit settles: for which collections, in chunks of how many objects."""

    collection_ids: Sequence[str]
    chunk_objects: int


class BatchStore:
    """Batches; a submit stores batch and receipt in one transaction."""

    def __init__(self, database: Database[Document], receipts: ReceiptStore) -> None:
        self._batches = database[COLLECTION]
        self._buckets = BucketStore(database)
        self._receipts = receipts

    def ensure_indexes(self) -> None:
        """Makes the indexes; safe to repeat."""
        self._batches.create_indexes(INDEXES)

    def create(
        self,
        *,
        namespace_id: str,
        bucket_id: str,
        batch_name: str | None,
        metadata: Mapping[str, object],
        collection_ids: Sequence[str] | None,
    ) -> Batch:
        """An empty DRAFT."""
        at = this_moment()
        document: Document = {
            "_id": new_id("btch"),
            "namespace_id": namespace_id,
            "bucket_id": bucket_id,
            "batch_name": batch_name,
            "metadata": dict(metadata),
            "collection_ids": None if collection_ids is None else list(collection_ids),
            "chunk_objects": None,
            "object_count": 0,
            "status": TaskStatusEnum.DRAFT.value,
            "task_id": None,
            "earlier_task_ids": [],
            "outcome": None,
            "created_at": at,
            "updated_at": at,
            "submitted_at": None,
        }
        return Batch.from_document(insert_once(self._batches, document))

    def get(self, batch_id: str, *, namespace_id: str, bucket_id: str | None = None) -> Batch:
        """The batch, or `NotFoundError`."""
        scope = {"_id": batch_id, "namespace_id": namespace_id}
        if bucket_id is not None:
            scope["bucket_id"] = bucket_id
        document = self._batches.find_one(scope)
        if document is None:
            raise NotFoundError(f"There is no batch '{batch_id}'.")
        return Batch.from_document(document)

    def set_object_count(self, batch_id: str, count: int) -> bool:
        """Records how many objects a draft has; False where it is a draft no more.

        Objects only come to a draft: of several that count, the greatest count is the newest.
        """
        result = self._batches.update_one(
            {"_id": batch_id, "status": TaskStatusEnum.DRAFT.value},
            {"$max": {"object_count": count}, "$set": {"updated_at": datetime.now(UTC)}},
        )
        return bool(result.matched_count)

    def submit(self, batch: Batch, plan: Plan, task: NewTask, ledger: Ledger) -> Receipt:
        """The receipt of the batch's task, which this call made, or another that was first.

        Batch and receipt are stored in one transaction, so that a second submit, even at the
        same moment, gets the same task. A batch whose task ended starts anew with a linked one:
        `batch.task_id` names the task that `task` is to follow, None for the first. What is to
        be done is `plan` from now on, whatever changes around it. Raises `NotFoundError` where the
        bucket is gone, `TooManyRequestsError` where the namespace's quota has no room for it; both
        change nothing.
        """
        if (task_id := new_id("tsk", task.place)) in (batch.task_id, *batch.earlier_task_ids):
            return self._receipts.get(task_id)  # an earlier run of this request
        receipt = launch(ledger, task, partial(self._start, batch, plan))
        if receipt is not None:
            return receipt
        current = self.get(batch.batch_id, namespace_id=batch.namespace_id)
        if current.task_id is None:
            raise BadRequestError(f"The batch '{batch.batch_id}' is {current.status}.")
        return self._receipts.get(current.task_id)

    def _start(self, batch: Batch, plan: Plan, document: Document, session: ClientSession) -> bool:
        if not self._buckets.hold(
            batch.bucket_id, namespace_id=batch.namespace_id, session=session
        ):
            raise NotFoundError(f"There is no bucket '{batch.bucket_id}'")
        if (completed := self._not_followed_up(batch, session)) is not None:
            owed = {"$set": {"owed": completed}}
            self._batches.update_one({"_id": batch.batch_id}, owed, session=session)
        at = document["created_at"]
        started = self._batches.update_one(
            {"_id": batch.batch_id, "task_id": batch.task_id},
            {
                "$set": {
                    "collection_ids": list(plan.collection_ids),
                    "chunk_objects": plan.chunk_objects,
                    "status": TaskStatusEnum.PENDING.value,
                    "task_id": document["_id"],
                    "outcome": None,
                    "followed_up": False,
                    "submitted_at": at,
                    "updated_at": at,
                },
                "$push": {"earlier_task_ids": {"$each": [batch.task_id] if batch.task_id else []}},
            },
            session=session,
        )
        return bool(started.matched_count)

    def _not_followed_up(self, batch: Batch, session: ClientSession) -> str | None:
        """The batch's task, where it ended well and nobody has followed up on it yet."""
        if batch.task_id is None:
            return None
        waits = {"_id": batch.batch_id, "task_id": batch.task_id, "followed_up": False}
        if self._batches.find_one(waits, {"_id": 1}, session=session) is None:
            return None
        before = self._receipts.find_many([batch.task_id], session)
        completed = [each for each in before if each.status is TaskStatusEnum.COMPLETED]
        return completed[0].task_id if completed else None

    def list(
        self,
        query: ListQuery,
        fields: FieldSet,
        *,
        namespace_id: str,
        bucket_id: str,
        status: TaskStatusEnum | None = None,
    ) -> Page[Batch]:
        """A page of a bucket's batches; with `status`, of those that have it now."""
        scope = {"namespace_id": namespace_id, "bucket_id": bucket_id}
        if status is not None:
            query = replace(query, now=self._having(status, scope))
        return list_page(self._batches, scope, query, fields).map(Batch.from_document)

    def _having(self, status: TaskStatusEnum, scope: Document) -> Document:
        """The condition on the status: a batch whose outcome is not copied yet has its task's."""
        if status is TaskStatusEnum.DRAFT:
            return {"status": status.value}
        return having(status, self._batches, scope, self._receipts)

    def any_open(self, bucket: Bucket, session: ClientSession) -> str | None:
        """The id of a batch of the bucket whose task has not ended, or None, as a transaction
        sees it.
        """
        unsettled = {
            "namespace_id": bucket.namespace_id,
            "bucket_id": bucket.bucket_id,
            "outcome": None,
            "task_id": {"$ne": None},
        }
        rows = self._batches.find(unsettled, {"task_id": 1}, session=session)
        owners = {row["task_id"]: row["_id"] for row in rows}
        for receipt in self._receipts.find_many(list(owners), session):
            if not receipt.is_terminal:
                return str(owners[receipt.task_id])
        return None

    def settle(self) -> int:
        """Copies the ends of tasks to their batches, and counts them; safe to repeat."""
        return settle(self._batches, self._receipts)

    def to_follow_up(self) -> Sequence[Batch]:
        """Batches that ended well, and that nobody has followed up on yet, each with the task that
        did: one that was retried since then may have another by now.
        """
        ended_well = {"followed_up": False, "status": TaskStatusEnum.COMPLETED.value}
        found = list(map(Batch.from_document, self._batches.find(ended_well).limit(MANY)))
        retried = self._batches.find({"owed": {"$exists": True}}).limit(MANY)
        return found + [replace(Batch.from_document(row), task_id=row["owed"]) for row in retried]

    def set_followed_up(self, batch: Batch) -> None:
        """Records that what follows the batch is called for; safe to repeat."""
        guard = {"_id": batch.batch_id, "task_id": batch.task_id}
        self._batches.update_one(guard, {"$set": {"followed_up": True}})
        guard = {"_id": batch.batch_id, "owed": batch.task_id}
        self._batches.update_one(guard, {"$unset": {"owed": ""}})
