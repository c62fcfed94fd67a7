"""Batches: drafts of a bucket's objects, submitted to become documents."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import Field

from app.api.batch_answer import batch_json
from app.api.shape import batch as shape
from app.errors import AlreadyExistsError, InvalidError
from app.http.answer import answers
from app.http.body import CREATED, Body, JsonObject, Metadata
from app.http.caller import Caller, Reader, Writer
from app.http.example import example
from app.http.filtering import Filters
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.http.switch import refused
from app.query.field import Field as ListField
from app.query.field import FieldSet, Kind
from app.receipts.receipt import rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.batch import Batch
from app.resources.bucket import Bucket
from app.stores import Held, Stores

router = APIRouter(prefix="/v1", tags=["batches"], route_class=IdempotentRoute)

MAX_OBJECT_IDS: Final = 200_000  # of one request; the body limit is about as strict
MISSING_SHOWN: Final = 10
FAILURES_SHOWN: Final = 20

ObjectIds = Annotated[list[str], Field(max_length=MAX_OBJECT_IDS)]

FIELDS: Final = FieldSet(
    fields={
        "batch_id": ListField("_id", nullable=False),
        "batch_name": ListField("batch_name"),
        "task_id": ListField("task_id"),
        "collection_ids": ListField("collection_ids"),
        "object_count": ListField("object_count", Kind.NUMBER, nullable=False),
        "created_at": ListField("created_at", Kind.DATETIME, sortable=True, nullable=False),
    },
    prefixes={"metadata": "metadata"},
    searchable=("batch_name",),
)


class CreateBatch(Body):
    """Which objects, by id or by filter, and for which collections (all that read the bucket)."""

    model_config = example(
        {"batch_name": "spring", "object_ids": ["obj_0196b1c0a4e87d11b8a40c3f5e2d9a77"]},
        {"filters": {"field": "price", "operator": "lt", "value": 10}},
    )

    object_ids: ObjectIds | None = None
    filters: Filters | None = None
    collection_ids: list[str] | None = Field(None, min_length=1, max_length=100)
    batch_name: str | None = Field(None, min_length=1, max_length=256)
    metadata: Metadata = Field(default_factory=dict)


class ListBatches(ListBody):
    """What a list of batches takes; `collection_id` finds those that name the collection."""

    model_config = example({"status": "COMPLETED", "include_total": True})

    status: TaskStatusEnum | None = None
    collection_id: str | None = Field(None, max_length=128)


class AddObjects(Body):
    """Objects to add to a draft."""

    model_config = example({"object_ids": ["obj_0196b1c0a4e87d11b8a40c3f5e2d9a77"]})

    object_ids: ObjectIds | None = None
    filters: Filters | None = None


@router.post(
    "/buckets/{bucket_identifier}/batches",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Batch),
    dependencies=[refused("auto_submit", "trigger_processing")],
)
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


@router.post(
    "/buckets/{bucket_identifier}/batches/{batch_id}/objects",
    responses=answers(shape.Batch, {409: "The batch is no DRAFT any more."}),
)
def add_objects(
    bucket_identifier: str, batch_id: str, body: AddObjects, caller: Writer, stores: Held
) -> JsonObject:
    """Adds objects to a draft; one that is in it already changes nothing."""
    batch = find_batch(stores, caller, bucket_identifier, batch_id)
    if batch.status is not TaskStatusEnum.DRAFT:
        raise AlreadyExistsError(f"The batch is {batch.status}: only a DRAFT takes objects")
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    return _add(stores, batch, _object_ids(stores, bucket, body.object_ids, body.filters))


@router.get("/buckets/{bucket_identifier}/batches/{batch_id}", responses=answers(shape.Batch))
def get_batch(bucket_identifier: str, batch_id: str, caller: Reader, stores: Held) -> JsonObject:
    """The batch; its status is its task's."""
    return _describe(stores, find_batch(stores, caller, bucket_identifier, batch_id))


@router.get("/batches/{batch_id}", responses=answers(shape.Batch))
def get_batch_anywhere(batch_id: str, caller: Reader, stores: Held) -> JsonObject:
    """The batch, whichever bucket it belongs to."""
    return _describe(stores, stores.batches.get(batch_id, namespace_id=caller.namespace_id))


@router.post("/buckets/{bucket_identifier}/batches/list", responses=answers(shape.BatchPage))
def list_batches(
    bucket_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListBatches | None = None,
) -> dict[str, object]:
    """A page of the bucket's batches, the newest first."""
    body = body or ListBatches()
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    query = list_query(params, body, {"collection_ids": body.collection_id})
    page = stores.batches.list(
        counted(query),
        FIELDS,
        namespace_id=caller.namespace_id,
        bucket_id=bucket.bucket_id,
        status=body.status,
    )
    described = _describe_all(stores, page.results)
    return listed(request, query, page.map(lambda batch: described[batch.batch_id]))


@router.get(
    "/buckets/{bucket_identifier}/batches/{batch_id}/failed-documents",
    responses=answers(shape.FailedDocuments),
)
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
    batch = find_batch(stores, caller, bucket_identifier, batch_id)
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


def find_batch(stores: Stores, caller: Caller, bucket_identifier: str, batch_id: str) -> Batch:
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


def _describe(stores: Stores, batch: Batch) -> JsonObject:
    """One batch, with the first of its failures."""
    count = stores.extractions.failure_count(batch.batch_id) if batch.task_id else 0
    failures = stores.extractions.failures(batch.batch_id, limit=FAILURES_SHOWN) if count else []
    receipt = stores.ledger.receipts.find(batch.task_id) if batch.task_id else None
    return batch_json(
        batch,
        receipt,
        failures=failures,
        failed_count=count,
        max_attempts=stores.settings.max_attempts,
    )


def _describe_all(stores: Stores, batches: Sequence[Batch]) -> dict[str, JsonObject]:
    """Many batches by id, with the counts of their failures only: two queries for all of them."""
    task_ids = [batch.task_id for batch in batches if batch.task_id]
    receipts = {found.task_id: found for found in stores.ledger.receipts.find_many(task_ids)}
    counts = stores.extractions.failure_counts([batch.batch_id for batch in batches])
    return {
        batch.batch_id: batch_json(
            batch,
            receipts.get(batch.task_id) if batch.task_id else None,
            failures=(),
            failed_count=counts.get(batch.batch_id, 0),
            max_attempts=stores.settings.max_attempts,
        )
        for batch in batches
    }
