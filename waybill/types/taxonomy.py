"""Taxonomies, and what they assign to documents."""

from typing import NotRequired, TypedDict

from waybill.types.json import JsonObject, Status


class PathStep(TypedDict):
    """A node on the way down, the root first."""

    node_id: str
    label: str
    score: float


class TaxonomyAssignment(TypedDict):
    """The deepest node of one descent, and what the nodes on the way bring."""

    node_id: str
    collection_id: str
    label: str
    score: float
    level: int
    path: list[PathStep]
    fields: JsonObject


class TaxonomyEntry(TypedDict):
    """What one taxonomy assigned to a document, the best node first."""

    version: int
    task_id: str
    assignments: list[TaxonomyAssignment]
    fields: JsonObject
    assigned_at: str


class Materialization(TypedDict):
    """Where a taxonomy is materialized, by which task, and the version that is in place."""

    materialization_id: str
    collection_id: str
    target_collection_id: str | None
    version: int
    applied_version: int | None
    task_id: str
    status: Status
    updated_at: str


class Taxonomy(TypedDict):
    """A taxonomy at one of its versions; `materializations` where it is read alone."""

    taxonomy_id: str
    namespace_id: str
    taxonomy_name: str
    description: str | None
    metadata: JsonObject
    taxonomy_type: str
    version: int
    latest_version: int
    config: JsonObject
    retriever_id: str | None
    input_mappings: list[JsonObject]
    ready: bool
    created_at: str
    updated_at: str
    version_created_at: str
    materializations: NotRequired[list[Materialization]]


class TaxonomyMatch(TypedDict):
    """One assignment of one document, flat; `path` has the labels."""

    document_id: str | None
    taxonomy_id: str
    taxonomy_name: str
    node_id: str
    label: str
    score: float
    path: list[str]
    hierarchy_level: int
    enriched_fields: list[str]


class TrialResult(TypedDict):
    """What one document would be assigned."""

    document_id: str | None
    assignments: list[TaxonomyAssignment]
    fields: JsonObject


class Trial(TypedDict):
    """What some documents would be assigned; nothing was stored."""

    taxonomy_id: str
    version: int
    stats: JsonObject
    results: list[TrialResult]
    matches: list[TaxonomyMatch]
