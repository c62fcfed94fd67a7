"""Documents as answers have them."""

from pydantic import Field

from app.api.shape.page import Page, page_example
from app.api.shape.taxonomy import TaxonomyEntry
from app.http.answer import Answer, Json, Time
from app.http.example import example

EXAMPLE: Json = {
    "document_id": "doc_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "bucket_id": "bkt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "object_id": "obj_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "batch_id": "btch_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "fields": {"price": 3.5},
    "metadata": {},
    "created_at": "2026-01-31T12:00:07.000Z",
    "updated_at": "2026-01-31T12:00:07.000Z",
}


class Origin(Answer):
    """What a copy in a target collection was made of, and by which taxonomy."""

    taxonomy_id: str
    collection_id: str
    document_id: str


class Document(Answer):
    """What an extractor made of one object; `vectors` are there when they were asked for.

    `taxonomies` has what each taxonomy assigned, by its id.
    """

    model_config = example(EXAMPLE)

    document_id: str
    collection_id: str
    namespace_id: str
    bucket_id: str
    object_id: str
    batch_id: str | None
    task_id: str
    fields: Json
    metadata: Json
    created_at: Time
    updated_at: Time
    taxonomies: dict[str, TaxonomyEntry] = Field(default_factory=dict)
    origin: Origin | None = None
    vectors: dict[str, list[float]] = Field(default_factory=dict)


class DocumentPage(Page[Document]):
    """A page of documents."""

    model_config = example(page_example(EXAMPLE))


class DocumentCount(Answer):
    """How many documents there are."""

    model_config = example({"collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77", "count": 1000})

    collection_id: str
    count: int = Field(ge=0)


class DocumentGroup(Answer):
    """The values that its documents share, and what was computed over them, by alias."""

    group: Json
    metrics: Json


class DocumentGroups(Answer):
    """The first groups, and how many there are in all."""

    model_config = example(
        {
            "results": [{"group": {"colour": "blue"}, "metrics": {"count": 12, "avg_price": 3.5}}],
            "total_groups": 1,
        }
    )

    results: list[DocumentGroup]
    total_groups: int = Field(ge=0)
