"""Batches: drafts of a bucket's objects, submitted to become documents."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from app.api.batch_answer import batch_json
from app.api.body import CREATED, Body, JsonObject, Metadata
from app.api.caller import Caller, Deleter, Reader, Writer
from app.api.idempotency import CREATES, IdempotentRoute
from app.api.listing import ListBody, ListParams, envelope, list_query
from app.api.request_id import current_request_id
from app.api.task import kill
from app.errors import AlreadyExistsError, BadRequestError, InvalidError, NotFoundError
from app.query.field import Field as ListField
from app.query.field import FieldSet, Kind
from app.receipts.receipt import NewTask, Receipt, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.batch import TASK_TYPE, Batch, Plan
from app.resources.bucket import Bucket
from app.stores import Stores, stores_of

router = APIRouter(prefix="/v1", tags=["batches"], route_class=IdempotentRoute)

MAX_OBJECT_IDS: Final = 200_000  # of one request; the body limit is about as strict
MISSING_SHOWN: Final = 10
FAILURES_SHOWN: Final = 20

ObjectIds = Annotated[list[str], Field(max_length=MAX_OBJECT_IDS)]
Held = Annotated[Stores, Depends(stores_of)]

FIELDS: Final = FieldSet(
    fields={
        "batch_id": ListField("_id", nullable=False),
        "batch_name": ListField("batch_name"),
        "task_id": ListField("task_id"),
        "object_count": ListField("object_count", Kind.NUMBER, nullable=False),
        "created_at": ListField("created_at", Kind.DATETIME, sortable=True, nullable=False),
    },
    prefixes={"metadata": "metadata"},
    searchable=("batch_name",),
)


class CreateBatch(Body):
    """Which objects, by id or by filter, and for which collections (all that read the bucket)."""

    object_ids: ObjectIds | None = None
    filters: JsonObject | None = None
    collection_ids: list[str] | None = Field(None, min_length=1, max_length=100)
    batch_name: str | None = Field(None, min_length=1, max_length=256)
    metadata: Metadata = Field(default_factory=dict)


class AddObjects(Body):
    """Objects to add to a draft."""

    object_ids: ObjectIds | None = None
    filters: JsonObject | None = None


class SubmitBatch(Body):
    """Nothing to say yet: the draft has it all."""


class CancelBatch(Body):
    """Why the batch is to end."""

    reason: str | None = Field(None, max_length=1_000)


@router.post("/buckets/{bucket_identifier}/batches", status_code=CREATED, openapi_extra=CREATES)
def create_batch(
    bucket_identifier: str, body: CreateBatch, caller: Writer, stores: Held
) -> JsonObject:
    """A DRAFT with its objects, all of which must be in the bucket."""
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    if body.collection_ids is not None:
        stores.collections.reading(
            bucket.bucket_id, namespace_id=caller.namespace_id, collection_ids=body.collection_ids
        )
    object_ids = _object_ids(stores, bucket, body.object_ids, body.filters)
    batch = stores.batches.create(
        namespace_id=caller.namespace_id,
        bucket_id=bucket.bucket_id,
        batch_name=body.batch_name,
        metadata=body.metadata,
        collection_ids=body.collection_ids,
    )
    return _add(stores, batch, object_ids)


@router.post("/buckets/{bucket_identifier}/batches/{batch_id}/objects")
def add_objects(
    bucket_identifier: str, batch_id: str, body: AddObjects, caller: Writer, stores: Held
) -> JsonObject:
    """Adds objects to a draft; one that is in it already changes nothing."""
    batch = _find(stores, caller, bucket_identifier, batch_id)
    if batch.status is not TaskStatusEnum.DRAFT:
        raise AlreadyExistsError(f"The batch is {batch.status}: only a DRAFT takes objects")
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    return _add(stores, batch, _object_ids(stores, bucket, body.object_ids, body.filters))


@router.post(
    "/buckets/{bucket_identifier}/batches/{batch_id}/submit",
    status_code=CREATED,
    openapi_extra=CREATES,
)
def submit_batch(
    bucket_identifier: str,
    batch_id: str,
    caller: Writer,
    stores: Held,
    body: SubmitBatch | None = None,
) -> JsonObject:
    """The task that processes the batch; a second submit gives the same one."""
    batch = _find(stores, caller, bucket_identifier, batch_id)
    if batch.task_id is not None:
        return _task_of(stores, batch).to_json()
    return _start(stores, batch, caller)


@router.post(
    "/buckets/{bucket_identifier}/batches/{batch_id}/retry",
    status_code=CREATED,
    openapi_extra=CREATES,
)
def retry_batch(bucket_identifier: str, batch_id: str, caller: Writer, stores: Held) -> JsonObject:
    """A new task for a batch whose last one ended, linked to that one."""
    batch = _find(stores, caller, bucket_identifier, batch_id)
    if batch.task_id is None:
        raise BadRequestError("The batch was never submitted: submit it")
    receipt = stores.ledger.receipts.find(batch.task_id)
    if receipt is not None and not receipt.is_terminal:
        raise AlreadyExistsError(f"The batch is {receipt.status}: only one that ended is retried")
    return _start(stores, batch, caller)


@router.post("/buckets/{bucket_identifier}/batches/{batch_id}/cancel")
def cancel_batch(
    bucket_identifier: str,
    batch_id: str,
    caller: Deleter,
    stores: Held,
    body: CancelBatch | None = None,
) -> JsonObject:
    """Asks for the end of the batch's task, which is the answer."""
    batch = _find(stores, caller, bucket_identifier, batch_id)
    if batch.task_id is None:
        raise BadRequestError("The batch is a DRAFT: nothing runs that could be canceled")
    reason = body.reason if body else None
    task_id = _task_of(stores, batch).task_id
    receipt, _ = kill(stores, task_id, caller.namespace_id, caller.actor, reason)
    return receipt.to_json()


@router.get("/buckets/{bucket_identifier}/batches/{batch_id}")
def get_batch(bucket_identifier: str, batch_id: str, caller: Reader, stores: Held) -> JsonObject:
    """The batch; its status is its task's."""
    return _describe(stores, _find(stores, caller, bucket_identifier, batch_id))


@router.get("/batches/{batch_id}")
def get_batch_anywhere(batch_id: str, caller: Reader, stores: Held) -> JsonObject:
    """The batch, whichever bucket it belongs to."""
    return _describe(stores, stores.batches.get(batch_id, namespace_id=caller.namespace_id))


@router.post("/buckets/{bucket_identifier}/batches/list")
def list_batches(
    bucket_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListBody | None = None,
) -> dict[str, object]:
    """A page of the bucket's batches, the newest first."""
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    page = stores.batches.list(
        list_query(params, body),
        FIELDS,
        namespace_id=caller.namespace_id,
        bucket_id=bucket.bucket_id,
    )
    described = _describe_all(stores, page.results)
    return envelope(request, page.map(lambda batch: described[batch.batch_id]))


@router.get("/buckets/{bucket_identifier}/batches/{batch_id}/failed-documents")
def failed_documents(
    bucket_identifier: str,
    batch_id: str,
    caller: Reader,
    stores: Held,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    collection_id: str | None = None,
) -> JsonObject:
    """The objects that became no document, each with type and reason, by object id."""
    batch = _find(stores, caller, bucket_identifier, batch_id)
    rows = stores.extractions.failures(
        batch.batch_id, limit=limit, skip=offset, collection_id=collection_id
    )
    return {
        "results": [
            {
                "object_id": row["object_id"],
                "collection_id": row["collection_id"],
                "error_type": row["error_type"],
                "reason": row["reason"],
                "task_id": row["task_id"],
                "attempt": row["attempt"],
                "failed_at": rfc3339(row["failed_at"]),
            }
            for row in rows
        ],
        "total": stores.extractions.failure_count(batch.batch_id, collection_id=collection_id),
        "limit": limit,
        "offset": offset,
    }


def _find(stores: Stores, caller: Caller, bucket_identifier: str, batch_id: str) -> Batch:
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    return stores.batches.get(
        batch_id, namespace_id=caller.namespace_id, bucket_id=bucket.bucket_id
    )


def _object_ids(
    stores: Stores, bucket: Bucket, object_ids: Sequence[str] | None, filters: JsonObject | None
) -> Iterable[str]:
    """The objects that a request names, checked: all of them are in the bucket."""
    if object_ids is not None and filters is not None:
        raise InvalidError.at("body", "filters", message="send object_ids or filters, not both")
    if filters is not None:
        return stores.objects.matching(bucket, filters)
    missing = stores.members.missing(bucket, object_ids or ())
    if missing:
        shown = ", ".join(f"'{one[:64]}'" for one in missing[:MISSING_SHOWN])
        message = f"{len(missing)} of the ids are no objects of this bucket: {shown}"
        raise InvalidError.at("body", "object_ids", message=message, kind="unknown_object")
    return object_ids or ()


def _add(stores: Stores, batch: Batch, object_ids: Iterable[str]) -> JsonObject:
    """Adds to a draft and describes it; a batch submitted meanwhile is not changed by it."""
    if not stores.members.add(batch, object_ids):
        raise AlreadyExistsError("The batch was submitted meanwhile: only a DRAFT takes objects")
    current = stores.batches.get(batch.batch_id, namespace_id=batch.namespace_id)
    return _describe(stores, current)


def _plan(stores: Stores, batch: Batch) -> Plan:
    """What a submit settles; `InvalidError` for a batch that has nothing to do."""
    if batch.object_count == 0:
        raise InvalidError.at("batch", "object_ids", message="the batch has no objects: add some")
    reading = stores.collections.reading(
        batch.bucket_id, namespace_id=batch.namespace_id, collection_ids=batch.collection_ids
    )
    if not reading:
        message = "no collection reads this bucket: create one, or name it in collection_ids"
        raise InvalidError.at("batch", "collection_ids", message=message)
    collection_ids = [collection.collection_id for collection in reading]
    return Plan(collection_ids, stores.settings.chunk_objects)


def _start(stores: Stores, batch: Batch, caller: Caller) -> JsonObject:
    task = NewTask(
        task_type=TASK_TYPE,
        namespace_id=batch.namespace_id,
        inputs=[batch.batch_id],
        actor=caller.actor,
        additional_data={
            "batch_id": batch.batch_id,
            "bucket_id": batch.bucket_id,
            "request_id": current_request_id(),
            **({"retry_of": batch.task_id} if batch.task_id else {}),
        },
        max_attempts=stores.settings.max_attempts,
    )
    receipt, is_new = stores.batches.submit(batch, _plan(stores, batch), task)
    if is_new:
        stores.ledger.submission.send([receipt])
    return receipt.to_json()


def _task_of(stores: Stores, batch: Batch) -> Receipt:
    """The receipt of a submitted batch; `NotFoundError` once it is past its retention."""
    assert batch.task_id is not None
    receipt = stores.ledger.receipts.find(batch.task_id)
    if receipt is None:
        raise NotFoundError(
            f"The batch is {batch.status}; the receipt of its task is past its retention"
        )
    return receipt


def _describe(stores: Stores, batch: Batch) -> JsonObject:
    """One batch, with the first of its failures."""
    count = stores.extractions.failure_count(batch.batch_id) if batch.task_id else 0
    failures = stores.extractions.failures(batch.batch_id, limit=FAILURES_SHOWN) if count else []
    receipt = stores.ledger.receipts.find(batch.task_id) if batch.task_id else None
    return batch_json(batch, receipt, failures, count)


def _describe_all(stores: Stores, batches: Sequence[Batch]) -> dict[str, JsonObject]:
    """Many batches by id, with the counts of their failures only: two queries for all of them."""
    task_ids = [batch.task_id for batch in batches if batch.task_id]
    receipts = {found.task_id: found for found in stores.ledger.receipts.find_many(task_ids)}
    counts = stores.extractions.failure_counts([batch.batch_id for batch in batches])
    return {
        batch.batch_id: batch_json(
            batch,
            receipts.get(batch.task_id) if batch.task_id else None,
            (),
            counts.get(batch.batch_id, 0),
        )
        for batch in batches
    }
