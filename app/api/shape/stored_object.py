"""Objects as answers have them."""

from pydantic import ConfigDict, Field

from app.api.shape.page import Page, page_example
from app.api.shape.partial import Partial, partial_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum
from app.resources.property import PropertyType

BLOB_EXAMPLE: Json = {
    "blob_id": "blob_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "property": "body",
    "type": "text",
    "size_bytes": 9,
    "metadata": {},
}
BRIEF_EXAMPLE: Json = {
    "price": 3.5,
    "object_id": "obj_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "bucket_id": "bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "key_prefix": None,
    "blobs": [BLOB_EXAMPLE],
    "metadata": {},
    "status": "ACTIVE",
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
}
EXAMPLE: Json = {**BRIEF_EXAMPLE, "blobs": [{**BLOB_EXAMPLE, "data": "Blue shoe"}]}


class StoredBlob(Answer):
    """The content of one property: `data`, images in base64, or the `url` where it lies.

    `data` is there where one object is read; `size_bytes` is null for content behind a URL.
    """

    blob_id: str
    property: str
    type: PropertyType
    data: object = None
    url: str = ""
    size_bytes: int | None = Field(ge=0)
    metadata: Json


class StoredObject(Answer):
    """One object. Its free fields stand beside these keys, as they were sent."""

    model_config = ConfigDict(extra="allow", **example(EXAMPLE))

    object_id: str
    bucket_id: str
    namespace_id: str
    key_prefix: str | None
    blobs: list[StoredBlob]
    metadata: Json
    status: TaskStatusEnum
    created_at: Time
    updated_at: Time


class PlacedObject(StoredObject):
    """An object that a batch call stored, with its place in the request."""

    object_index: int = Field(ge=0)


class ObjectPage(Page[StoredObject]):
    """A page of objects, without the contents of their blobs."""

    model_config = example(page_example(BRIEF_EXAMPLE))


class PartialObjects(Partial[PlacedObject]):
    """What was stored, and what was not and why."""

    model_config = example(partial_example({**BRIEF_EXAMPLE, "object_index": 0}))
