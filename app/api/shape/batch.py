"""Batches as answers have them."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum

Count = Annotated[int, Field(ge=0)]
Lifecycle = Literal["accepted", "queued", "extracting", "indexed", "failed", "canceled"]
Category = Literal["timeout", "infrastructure", "pipeline", "validation", "unknown"]

EXAMPLE: Json = {
    "batch_id": "btch_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "bucket_id": "bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "batch_name": "spring",
    "metadata": {},
    "collection_ids": ["col_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
    "object_count": 1000,
    "status": "PROCESSING",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "earlier_task_ids": [],
    "progress": {
        "processed": 640,
        "total": 1000,
        "percent": 64.0,
        "items_per_second": 91.43,
        "eta_seconds": 3.9,
        "errors": 0,
    },
    "health": "healthy",
    "last_activity_at": "2026-01-31T12:00:07.000Z",
    "outputs": None,
    "error_message": None,
    "error": None,
    "failure_reason": None,
    "failure_category": None,
    "failed_objects": [],
    "failed_object_count": 0,
    "lifecycle": "extracting",
    "lifecycle_reason": None,
    "max_node_death_resubmits": 2,
    "max_deploy_resubmits": 2147483647,
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:07.000Z",
    "submitted_at": "2026-01-31T12:00:00.500Z",
}
FAILED_EXAMPLE: Json = {
    "object_id": "obj_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "error_type": "unreadable",
    "reason": "The image cannot be read",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "attempt": 1,
    "failed_at": "2026-01-31T12:00:07.000Z",
}


class BatchProgress(Answer):
    """How far the batch is; what is not known yet is null."""

    processed: Count
    total: int | None
    percent: float | None
    items_per_second: float | None
    eta_seconds: float | None
    errors: Count


class FailedObject(Answer):
    """One object that became no document."""

    object_id: str
    error: str
    error_type: str
    timestamp: Time


class Batch(Answer):
    """One batch; its status is its task's. `failed_objects` are the first few."""

    model_config = example(EXAMPLE)

    batch_id: str
    namespace_id: str
    bucket_id: str
    batch_name: str | None
    metadata: Json
    collection_ids: list[str] | None
    object_count: Count
    status: TaskStatusEnum
    task_id: str | None
    earlier_task_ids: list[str]
    progress: BatchProgress
    health: Literal["healthy", "stalled", "unknown"]
    last_activity_at: Time | None
    outputs: object
    error_message: str | None
    error: str | None
    failure_reason: str | None
    failure_category: Category | None
    failed_objects: list[FailedObject]
    failed_object_count: Count
    lifecycle: Lifecycle | None
    lifecycle_reason: str | None
    max_node_death_resubmits: Count
    max_deploy_resubmits: Count
    created_at: Time
    updated_at: Time
    submitted_at: Time | None


class BatchPage(CountedPage[Batch]):
    """A page of batches, without their failed objects."""

    model_config = example(page_example(EXAMPLE, total_count=1))


class FailedDocument(Answer):
    """One object that became no document of one collection."""

    object_id: str
    collection_id: str
    error_type: str
    reason: str
    task_id: str
    attempt: Count
    failed_at: Time


class FailedDocuments(Answer):
    """A part of a batch's failures, in the order of object ids."""

    model_config = example({"results": [FAILED_EXAMPLE], "total": 1, "limit": 100, "offset": 0})

    results: list[FailedDocument]
    total: Count
    limit: int
    offset: Count
