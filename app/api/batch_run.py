"""Running batches: submit, retry and cancel, each of which answers with the task."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from app.api import callback
from app.api.batch import find_batch
from app.api.shape.task import Task
from app.api.task_control import kill
from app.errors import AlreadyExistsError, BadRequestError, InvalidError, NotFoundError
from app.http.answer import answers
from app.http.body import CREATED, Body, JsonObject, On
from app.http.caller import Caller, Deleter, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.request_id import current_request_id
from app.http.switch import refused
from app.identity import is_own
from app.receipts.receipt import NewTask, Receipt
from app.resources.batch import TASK_TYPE, Batch, Plan
from app.stores import Held, Stores

router = APIRouter(prefix="/v1", tags=["batches"], route_class=IdempotentRoute)

MAX_REASON: Final = 1_000  # characters
Reason = Annotated[str | None, Query(max_length=MAX_REASON)]  # where the public client has it


class SubmitBatch(Body):
    """The draft has it all, but who is to be told of the end."""

    model_config = example({}, {"webhook_url": "https://example.com/waybill"})

    webhook_url: callback.CallbackUrl | None = None
    include_processing_history: On = True  # the public client always sends it


class RetryBatch(Body):
    """What the public client always sends. Both modes come to the same: every object is
    processed anew, and one that can never succeed fails again.
    """

    model_config = example({})

    webhook_url: callback.CallbackUrl | None = None
    retry_mode: Literal["transient_only", "all"] = "all"
    max_retry_count: Literal[3] = 3


class CancelBatch(Body):
    """Why the batch is to end."""

    model_config = example({"reason": "the wrong bucket"})

    reason: str | None = Field(None, max_length=MAX_REASON)


@router.post(
    "/buckets/{bucket_identifier}/batches/{batch_id}/submit",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(Task),
    dependencies=[refused("force")],
)
def submit_batch(
    bucket_identifier: str,
    batch_id: str,
    caller: Writer,
    stores: Held,
    body: SubmitBatch | None = None,
) -> JsonObject:
    """The task that processes the batch; a second submit gives the same one, and changes nothing
    of it.
    """
    url = callback.checked(body.webhook_url if body else None, stores.settings, "body")
    batch = find_batch(stores, caller, bucket_identifier, batch_id)
    if batch.task_id is not None:
        return _task_of(stores, batch).to_json()
    return _start(stores, batch, caller, url)


@router.post(
    "/buckets/{bucket_identifier}/batches/{batch_id}/retry",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(Task, {409: "The batch has not ended."}),
)
def retry_batch(
    bucket_identifier: str,
    batch_id: str,
    caller: Writer,
    stores: Held,
    body: RetryBatch | None = None,
) -> JsonObject:
    """A new task for a batch whose last one ended, linked to that one."""
    url = callback.checked(body.webhook_url if body else None, stores.settings, "body")
    batch = find_batch(stores, caller, bucket_identifier, batch_id)
    if batch.task_id is None:
        raise BadRequestError("The batch was never submitted: submit it")
    receipt = stores.ledger.receipts.find(batch.task_id)
    if receipt is not None and is_own(receipt.task_id):
        return receipt.to_json()
    if receipt is not None and not receipt.is_terminal:
        raise AlreadyExistsError(f"The batch is {receipt.status}: only one that ended is retried")
    return _start(stores, batch, caller, url)


@router.post("/buckets/{bucket_identifier}/batches/{batch_id}/cancel", responses=answers(Task))
def cancel_batch(
    bucket_identifier: str,
    batch_id: str,
    caller: Deleter,
    stores: Held,
    reason: Reason = None,
    body: CancelBatch | None = None,
) -> JsonObject:
    """Asks for the end of the batch's task, which is the answer; the body's reason goes first."""
    batch = find_batch(stores, caller, bucket_identifier, batch_id)
    if batch.task_id is None:
        raise BadRequestError("The batch is a DRAFT: nothing runs that could be canceled")
    said = body.reason if body and body.reason is not None else reason
    task_id = _task_of(stores, batch).task_id
    receipt, _ = kill(stores, task_id, caller, said)
    return receipt.to_json()


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


def _start(stores: Stores, batch: Batch, caller: Caller, callback_url: str | None) -> JsonObject:
    plan = _plan(stores, batch)
    task = NewTask(
        task_type=TASK_TYPE,
        namespace_id=batch.namespace_id,
        inputs=[batch.batch_id],
        actor=caller.actor,
        additional_data={
            "batch_id": batch.batch_id,
            "bucket_id": batch.bucket_id,
            "collection_ids": list(plan.collection_ids),
            "request_id": current_request_id(),
            **({"retry_of": batch.task_id} if batch.task_id else {}),
        },
        max_attempts=stores.settings.max_attempts,
        callback_url=callback_url,
    )
    return stores.batches.submit(batch, plan, task, stores.ledger).to_json()


def _task_of(stores: Stores, batch: Batch) -> Receipt:
    """The receipt of a submitted batch; `NotFoundError` once it is past its retention."""
    assert batch.task_id is not None
    receipt = stores.ledger.receipts.find(batch.task_id)
    if receipt is None:
        raise NotFoundError(
            f"The batch is {batch.status}; the receipt of its task is past its retention"
        )
    return receipt
