"""Batches: which objects to process, with which collections, and the task that does it.

A submitted batch has no status of its own: its task's receipt has it. What the receipt said at
the end is copied here by a sweep, for the time after the receipt's retention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, insert_once, transact
from app.errors import BadRequestError, NotFoundError
from app.identity import new_id
from app.query.field import FieldSet
from app.query.page import ListQuery, Page, list_page
from app.receipts.admission import AdmissionStore, beyond_quota
from app.receipts.draft import this_moment
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.receipts.write import TRANSACTION

COLLECTION: Final = "batches"
TASK_TYPE: Final = "api_buckets_batches_process"

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
        fields = {key: value for key, value in document.items() if key != "_id"}
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
        self._database = database
        self._batches = database[COLLECTION]
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
        """Records how many objects a draft has; False where it is a draft no more."""
        result = self._batches.update_one(
            {"_id": batch_id, "status": TaskStatusEnum.DRAFT.value},
            {"$set": {"object_count": count, "updated_at": datetime.now(UTC)}},
        )
        return bool(result.matched_count)

    def submit(
        self, batch: Batch, plan: Plan, task: NewTask, *, admissions: AdmissionStore
    ) -> tuple[Receipt, bool]:
        """The receipt of the batch's task, and whether this call made it.

        Batch and receipt are stored in one transaction, so that a second submit, even at the
        same moment, gets the same task. A batch whose task ended starts anew with a linked one:
        `batch.task_id` names the task that `task` is to follow, None for the first. What is to
        be done is `plan` from now on, whatever changes around it. Raises `TooManyRequestsError`,
        and changes nothing, where the namespace's quota has no room for it.
        """
        (document,) = admissions.draft([task])
        if document["_id"] in (batch.task_id, *batch.earlier_task_ids):
            return self._receipts.get(document["_id"]), False  # an earlier run of this request

        def start(session: ClientSession) -> bool:
            if not self._start(batch, plan, document, session):
                return False
            if not admissions.insert([document], session):
                raise beyond_quota()
            return True

        is_ours = transact(self._database, start, within=TRANSACTION)
        if is_ours:
            return self._receipts.committed(document), True
        current = self.get(batch.batch_id, namespace_id=batch.namespace_id)
        if current.task_id is None:
            raise BadRequestError(f"The batch '{batch.batch_id}' is {current.status}.")
        return self._receipts.get(current.task_id), False

    def _start(self, batch: Batch, plan: Plan, document: Document, session: ClientSession) -> bool:
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
                    "submitted_at": at,
                    "updated_at": at,
                },
                "$push": {"earlier_task_ids": {"$each": [batch.task_id] if batch.task_id else []}},
            },
            session=session,
        )
        return bool(started.matched_count)

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
        unsettled = {**scope, "outcome": None, "task_id": {"$ne": None}}
        task_ids = [row["task_id"] for row in self._batches.find(unsettled, {"task_id": 1})]
        receipts = self._receipts.find_many(task_ids)
        theirs = [receipt.task_id for receipt in receipts if receipt.status is status]
        settled = {"outcome": {"$ne": None}, "status": status.value}
        return {"$or": [settled, {"task_id": {"$in": theirs}}]}

    def settle(self) -> int:
        """Copies the ends of tasks to their batches, and counts them; safe to repeat."""
        query = {"outcome": None, "task_id": {"$ne": None}}
        settled = 0
        for row in self._batches.find(query, {"task_id": 1}):
            receipt = self._receipts.find(row["task_id"])
            if receipt is None or receipt.is_terminal:
                guard = {"_id": row["_id"], "task_id": row["task_id"]}
                settled += self._batches.update_one(guard, {"$set": _end(receipt)}).matched_count
        return settled


def _end(receipt: Receipt | None) -> Document:
    """What a batch keeps of its task's end; nobody can tell that of a receipt that is gone."""
    if receipt is None:
        return {"status": TaskStatusEnum.UNKNOWN.value, "outcome": {}}
    return {
        "status": receipt.status.value,
        "outcome": {
            "outputs": receipt.outputs,
            "error_message": receipt.error_message,
            "started_at": receipt.started_at,
            "ended_at": receipt.ended_at,
        },
    }
