"""Buckets as answers have them."""

from pydantic import Field

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum
from app.resources.property import PropertyType

SCHEMA_EXAMPLE: Json = {
    "properties": {
        "body": {"type": "text", "required": True},
        "price": {"type": "float", "required": False},
    }
}
EXAMPLE: Json = {
    "bucket_id": "bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "bucket_name": "goods",
    "description": None,
    "bucket_schema": SCHEMA_EXAMPLE,
    "unique_key": None,
    "metadata": {},
    "status": "ACTIVE",
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
    "object_count": 0,
    "total_size_bytes": 0,
}


class Property(Answer):
    """One property; `description` is there where the schema has one."""

    type: PropertyType
    required: bool
    description: str = ""


class StoredSchema(Answer):
    """What objects of the bucket look like; without properties they look as they like."""

    properties: dict[str, Property]


class UniqueKeyFields(Answer):
    """A unique key of several properties, as it was sent."""

    fields: list[str]
    default_policy: str = "insert"


class Bucket(Answer):
    """One bucket, with the number and size of its objects."""

    model_config = example(EXAMPLE)

    bucket_id: str
    namespace_id: str
    bucket_name: str
    description: str | None
    bucket_schema: StoredSchema
    unique_key: str | UniqueKeyFields | None
    metadata: Json
    status: TaskStatusEnum
    created_at: Time
    updated_at: Time
    object_count: int = Field(ge=0)
    total_size_bytes: int = Field(ge=0)


class BucketPage(CountedPage[Bucket]):
    """A page of buckets."""

    model_config = example(page_example(EXAMPLE, total_count=1))
