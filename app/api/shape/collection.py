"""Collections as answers have them."""

from typing import Literal

from pydantic import Field

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum

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
    "document_count": 0,
    "schema_version": 1,
    "last_schema_sync": None,
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


class Collection(Answer):
    """One collection, with the number of its documents."""

    model_config = example(EXAMPLE)

    collection_id: str
    namespace_id: str
    collection_name: str
    description: str | None
    source: CollectionSource
    feature_extractor: FeatureExtractor
    metadata: Json
    document_count: int = Field(ge=0)
    schema_version: int
    last_schema_sync: Time | None
    status: TaskStatusEnum
    created_at: Time
    updated_at: Time


class CollectionPage(CountedPage[Collection]):
    """A page of collections."""

    model_config = example(page_example(EXAMPLE, total_count=1))
