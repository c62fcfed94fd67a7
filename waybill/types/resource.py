"""Namespaces, buckets, objects, batches, collections and documents."""

from typing import Any, Literal, NotRequired, TypedDict

from waybill.types.json import JsonObject, Status
from waybill.types.taxonomy import TaxonomyEntry


class Quotas(TypedDict):
    """How many tasks a namespace may have; null is no limit."""

    max_running: int | None
    max_pending: int | None


class Namespace(TypedDict):
    """A tenant."""

    namespace_id: str
    namespace_name: str
    description: str | None
    metadata: JsonObject
    status: Status
    namespace_ready: bool
    quotas: Quotas
    created_at: str
    updated_at: str


class Bucket(TypedDict):
    """A named set of objects under one schema."""

    bucket_id: str
    namespace_id: str
    bucket_name: str
    description: str | None
    bucket_schema: JsonObject
    unique_key: str | JsonObject | None
    metadata: JsonObject
    status: Status
    object_count: int
    total_size_bytes: int
    created_at: str
    updated_at: str


class NewBlob(TypedDict):
    """Content of one property: `data`, or the `url` where it lies."""

    property: str
    type: str
    data: NotRequired[Any]
    url: NotRequired[str]
    metadata: NotRequired[JsonObject]


class Blob(TypedDict):
    """Stored content; `data` is there where one object is read, images in base64."""

    blob_id: str
    property: str
    type: str
    data: NotRequired[Any]
    url: NotRequired[str]
    size_bytes: NotRequired[int]
    metadata: NotRequired[JsonObject]


class StoredObject(TypedDict):
    """An object. Its free fields stand beside these, under the names of the bucket's schema."""

    object_id: str
    bucket_id: str
    namespace_id: str
    key_prefix: str | None
    blobs: list[Blob]
    metadata: JsonObject
    status: Status
    object_index: NotRequired[int]  # its place in a call that made many
    created_at: str
    updated_at: str


class BatchProgress(TypedDict):
    """How far a batch is."""

    processed: int
    total: int
    percent: float | None
    items_per_second: float | None
    eta_seconds: float | None
    errors: int


class FailedObject(TypedDict):
    """One of the first objects that failed."""

    object_id: str
    error: str
    error_type: str
    timestamp: str


class Batch(TypedDict):
    """Objects to process together; its status is its task's."""

    batch_id: str
    namespace_id: str
    bucket_id: str
    batch_name: str | None
    metadata: JsonObject
    collection_ids: list[str] | None
    object_count: int
    status: Status
    task_id: str | None
    earlier_task_ids: list[str]
    progress: BatchProgress
    health: Literal["healthy", "stalled", "unknown"]
    last_activity_at: str
    outputs: Any
    error_message: str | None
    error: str | None
    failure_reason: str | None
    failure_category: (
        Literal["timeout", "infrastructure", "pipeline", "validation", "unknown"] | None
    )
    failed_objects: list[FailedObject]
    failed_object_count: int
    lifecycle: Literal["accepted", "queued", "extracting", "indexed", "failed", "canceled"] | None
    lifecycle_reason: str | None
    max_node_death_resubmits: int
    max_deploy_resubmits: int
    created_at: str
    updated_at: str
    submitted_at: str | None


class FailedDocument(TypedDict):
    """An object of a batch that became no document, and why."""

    object_id: str
    collection_id: str
    error_type: str
    reason: str
    task_id: str
    attempt: int
    failed_at: str


class FollowUp(TypedDict):
    """A taxonomy or cluster that runs after a collection's batches; null where nothing did yet."""

    kind: str
    taxonomy_id: str | None
    cluster_id: str | None
    due_at: str | None
    last_started_at: str | None
    last_task_id: str | None
    last_error: str | None


class Collection(TypedDict):
    """What an extractor makes of the objects of some buckets, and what runs after batches."""

    collection_id: str
    namespace_id: str
    collection_name: str
    description: str | None
    source: JsonObject
    feature_extractor: JsonObject
    metadata: JsonObject
    taxonomy_applications: list[JsonObject]
    cluster_applications: list[JsonObject]
    follow_ups: list[FollowUp]
    document_count: int
    document_schema: dict[str, dict[str, str]]
    schema_version: int
    last_schema_sync: str | None
    status: Status
    created_at: str
    updated_at: str


class Document(TypedDict):
    """What an extractor made of one object; `vectors` where they were asked for."""

    document_id: str
    collection_id: str
    namespace_id: str
    bucket_id: str
    object_id: str
    batch_id: str | None
    task_id: str
    fields: JsonObject
    metadata: JsonObject
    taxonomies: NotRequired[dict[str, TaxonomyEntry]]
    origin: NotRequired[JsonObject]
    vectors: NotRequired[dict[str, list[float]]]
    created_at: str
    updated_at: str


class Group(TypedDict):
    """Documents with the same values, and what was computed over them."""

    group: JsonObject
    metrics: JsonObject
