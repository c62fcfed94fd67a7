"""Taxonomies, their versions and what they assign, as answers have them."""

from typing import Annotated

from pydantic import Field

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum
from app.taxonomies.config import TaxonomyType

Count = Annotated[int, Field(ge=0)]
Version = Annotated[int, Field(ge=1)]

CONFIG: Json = {
    "taxonomy_type": "flat",
    "retriever_id": "exact_cosine",
    "input_mappings": [],
    "source_collection": {
        "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "label_field": "fields.name",
        "enrichment_fields": [],
    },
    "top_k": 1,
    "threshold": 0.3,
}
EXAMPLE: Json = {
    "taxonomy_id": "tax_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "taxonomy_name": "departments",
    "description": None,
    "metadata": {},
    "taxonomy_type": "flat",
    "version": 1,
    "latest_version": 1,
    "config": CONFIG,
    "retriever_id": "exact_cosine",
    "input_mappings": [],
    "ready": True,
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
    "version_created_at": "2026-01-31T12:00:00.000Z",
}
ASSIGNMENT: Json = {
    "node_id": "doc_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "label": "kitchen",
    "score": 0.81,
    "level": 0,
    "path": [
        {"node_id": "doc_0196b1c0a4e87d11b8a40c3f5e2d9a77", "label": "kitchen", "score": 0.81}
    ],
    "fields": {},
}


class PathStep(Answer):
    """A node on the way down, the root first."""

    node_id: str
    label: str
    score: float


class TaxonomyAssignment(Answer):
    """The deepest node of one descent, with the way to it and what its nodes bring."""

    node_id: str
    collection_id: str
    label: str
    score: float
    level: Count
    path: list[PathStep]
    fields: Json


class TaxonomyEntry(Answer):
    """What one taxonomy assigned to a document, the best node first."""

    version: Version
    task_id: str
    assignments: list[TaxonomyAssignment]
    fields: Json
    assigned_at: Time


class Materialization(Answer):
    """Where the taxonomy is materialized, by which task, and the version that is in place."""

    materialization_id: str
    collection_id: str
    target_collection_id: str | None
    version: Version
    applied_version: Version | None
    task_id: str
    status: TaskStatusEnum
    updated_at: Time


class Taxonomy(Answer):
    """A taxonomy at one of its versions; one that is read alone says where it is materialized."""

    model_config = example(EXAMPLE)

    taxonomy_id: str
    namespace_id: str
    taxonomy_name: str
    description: str | None
    metadata: Json
    taxonomy_type: TaxonomyType
    version: Version
    latest_version: Version
    config: Json
    retriever_id: str | None
    input_mappings: list[Json]
    ready: bool
    created_at: Time
    updated_at: Time
    version_created_at: Time
    materializations: list[Materialization] = Field(default_factory=list)


class TaxonomyPage(CountedPage[Taxonomy]):
    """A page of taxonomies, each at its newest version, or of the versions of one."""

    model_config = example(page_example(EXAMPLE, total_count=1))


class TaxonomyMatch(Answer):
    """One assignment of one document, flat; `path` has the labels, the root's first."""

    document_id: str | None
    taxonomy_id: str
    taxonomy_name: str
    node_id: str
    label: str
    score: float
    path: list[str]
    hierarchy_level: Count
    enriched_fields: list[str]


class TrialResult(Answer):
    """What one document would be assigned; a document without any would be SKIPPED."""

    document_id: str | None
    assignments: list[TaxonomyAssignment]
    fields: Json


class TrialStats(Answer):
    """How many documents were tried, and how many of them match."""

    processed_docs: Count
    batches: Count
    errors: Count
    enriched: Count


class Trial(Answer):
    """What some documents would be assigned. Nothing is stored."""

    model_config = example(
        {
            "taxonomy_id": "tax_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "version": 1,
            "stats": {"processed_docs": 1, "batches": 1, "errors": 0, "enriched": 1},
            "results": [{"document_id": None, "assignments": [ASSIGNMENT], "fields": {}}],
            "matches": [],
        }
    )

    taxonomy_id: str
    version: Version
    stats: TrialStats
    results: list[TrialResult]
    matches: list[TaxonomyMatch]


class AppliedTaxonomy(Answer):
    """The task that applies a taxonomy to a collection."""

    model_config = example(
        {
            "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "status": "PENDING",
            "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "taxonomy_id": "tax_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "estimated_documents": 1000,
        }
    )

    task_id: str
    status: TaskStatusEnum
    collection_id: str
    taxonomy_id: str
    estimated_documents: Count
