"""Collections as answers have them."""

from typing import Literal

from pydantic import Field

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum
from app.resources.document_schema import FieldType

EXAMPLE: Json = {
    "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "collection_name": "texts",
    "description": None,
    "source": {"type": "bucket", "bucket_ids": ["bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77"]},
    "feature_extractor": {
        "feature_extractor_id": "text_v1",
        "feature_extractor_name": "text",
        "version": "v1",
        "parameters": {},
        "params": {},
        "input_mappings": {"text": "body"},
    },
    "metadata": {},
    "taxonomy_applications": [],
    "cluster_applications": [
        {
            "cluster_id": "clust_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "auto_execute_on_batch": True,
            "min_document_threshold": 100,
            "cooldown_seconds": 3600,
            "execution_phase": 2,
            "priority": 0,
        }
    ],
    "follow_ups": [
        {
            "kind": "cluster",
            "taxonomy_id": None,
            "cluster_id": "clust_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "due_at": None,
            "last_started_at": "2026-01-31T12:00:10.000Z",
            "last_task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "last_error": None,
        }
    ],
    "document_count": 1000,
    "document_schema": {
        "fields": {"colour": "string", "price": "number"},
        "metadata": {},
        "vectors": {"text": "vector"},
    },
    "schema_version": 2,
    "last_schema_sync": "2026-01-31T12:00:12.000Z",
    "status": "ACTIVE",
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
}


class CollectionSource(Answer):
    """The buckets that the collection reads."""

    type: Literal["bucket"]
    bucket_ids: list[str]


class FeatureExtractor(Answer):
    """What makes documents of objects; `params` is `parameters` again."""

    feature_extractor_id: str
    feature_extractor_name: str
    version: str
    parameters: Json
    params: Json
    input_mappings: Json


class TaxonomyApplication(Answer):
    """A taxonomy that is assigned after each batch, to the documents or in a target."""

    taxonomy_id: str
    target_collection_id: str | None
    scroll_filters: Json | None
    execution_mode: Literal["materialize"]
    execution_phase: Literal[1]
    priority: Literal[0]


class ClusterApplication(Answer):
    """A cluster that is executed after a batch; the cooldown is in seconds."""

    cluster_id: str
    auto_execute_on_batch: bool
    min_document_threshold: int | None
    cooldown_seconds: int
    execution_phase: Literal[2]
    priority: Literal[0]


class FollowUp(Answer):
    """What ran last for one of them, and when it is due again; null: no batch calls for it."""

    kind: Literal["taxonomy", "cluster"]
    taxonomy_id: str | None
    cluster_id: str | None
    due_at: Time | None
    last_started_at: Time | None
    last_task_id: str | None
    last_error: str | None


Types = dict[str, FieldType]


class DocumentSchema(Answer):
    """The types of the fields that documents have, by name; it grows with the documents."""

    fields: Types
    metadata: Types
    vectors: Types


class Collection(Answer):
    """One collection, with the number of its documents, and what runs after its batches."""

    model_config = example(EXAMPLE)

    collection_id: str
    namespace_id: str
    collection_name: str
    description: str | None
    source: CollectionSource
    feature_extractor: FeatureExtractor
    metadata: Json
    taxonomy_applications: list[TaxonomyApplication]
    cluster_applications: list[ClusterApplication]
    follow_ups: list[FollowUp]
    document_count: int = Field(ge=0)
    document_schema: DocumentSchema
    schema_version: int
    last_schema_sync: Time | None
    status: TaskStatusEnum
    created_at: Time
    updated_at: Time


class CollectionPage(CountedPage[Collection]):
    """A page of collections."""

    model_config = example(page_example(EXAMPLE, total_count=1))
