"""What requests say of a taxonomy's configuration, in the contract's words and in the client's."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from app.http.body import MAX_NAME, Body, Integer, JsonObject
from app.taxonomies.config import (
    MAX_TOP_K,
    Enrichment,
    InputSource,
    MergeMode,
    TaxonomyType,
)

MAX_LEVELS: Final = 10
MAX_BRANCHES: Final = 100
MAX_PARTS: Final = 50

Path = Annotated[str, Field(min_length=1, max_length=200)]
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Target = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[^.$\s\x00-\x1f]+$")]
TopK = Annotated[Integer, Field(ge=1, le=MAX_TOP_K)]
Threshold = Annotated[float, Field(ge=-1, le=1, strict=True)]
Retriever = Annotated[
    str | None,
    Field(
        max_length=256,
        description="Kept and shown; matching is always by exact cosine here.",
    ),
]
Unsupported = Annotated[None, Field(description="Not done here: leave it out.")]


class EnrichmentBody(Body):
    """A field of the nodes that matched documents get, under the same or another name."""

    field_path: Path
    target_field: Annotated[
        str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[^.$\s]+$")
    ] | (None) = None
    merge_mode: MergeMode | None = None

    def read(self) -> Enrichment:
        name = self.target_field or self.field_path.rpartition(".")[2]
        return Enrichment(self.field_path, name, self.merge_mode or MergeMode.REPLACE)


Enrichments = Annotated[list[EnrichmentBody], Field(max_length=MAX_PARTS)]


class SourceBody(Body):
    """The collection whose documents are the nodes."""

    collection_id: Identifier
    label_field: Path | None = None
    enrichment_fields: Enrichments | None = None


class LevelBody(SourceBody):
    """A level of a hierarchy. A node hangs under those above whose `key_field` (their label, unless
    another is named) has the value of its `parent_field`; without one, under every kept one.
    """

    key_field: Path | None = None
    parent_field: Path | None = None
    top_k: TopK | None = None
    threshold: Threshold | None = None


class BranchBody(Body):
    """A collection in a tree of collections: its nodes hang under those of its parent."""

    collection_id: Identifier
    parent_collection_id: Identifier | None = None
    label: Annotated[str, Field(max_length=256)] | None = None
    summary: Annotated[str, Field(max_length=4_000)] | None = None
    keywords: Annotated[list[Path], Field(max_length=MAX_PARTS)] | None = None
    retriever_id: Retriever = None
    label_field: Path | None = None
    enrichment_fields: Enrichments | None = None
    input_mappings: Annotated[list[JsonObject], Field(max_length=0)] | None = None


class MappingBody(Body):
    """What is compared with the nodes: a vector of the documents (`path` names the feature), or
    inputs of the nodes' own extractor, read from a field of the documents or given once for all.
    """

    input_key: Path
    source_type: InputSource | None = None
    path: Path | None = None
    override: str | int | float | bool | None = None


Mappings = Annotated[list[MappingBody], Field(max_length=MAX_PARTS)]


class TaxonomyConfigBody(Body):
    """A taxonomy's configuration, flat or hierarchical."""

    taxonomy_type: TaxonomyType | None = None
    source_collection: Identifier | SourceBody | None = None
    levels: Annotated[list[LevelBody], Field(min_length=1, max_length=MAX_LEVELS)] | None = None
    hierarchical_nodes: (
        Annotated[list[BranchBody], Field(min_length=1, max_length=MAX_BRANCHES)] | None
    ) = None
    input_mappings: Mappings | None = None
    top_k: TopK | None = None
    threshold: Threshold | None = None
    retriever_id: Retriever = None
    # What the public client has beside, at what it always sends.
    step_analytics: Unsupported = None
    inference_strategy: Unsupported = None
    inference_collections: Unsupported = None
    llm_provider: Unsupported = None
    llm_model: Unsupported = None
    llm_prompt_template: Unsupported = None
    llm_sample_size: Literal[0] | None = None
    cluster_ids: Unsupported = None
    cluster_overlap_threshold: Annotated[float, Field(ge=0.7, le=0.7)] | None = None
    path_field: Unsupported = None
    path_separator: Literal["/"] | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        shapes = {
            "source_collection": TaxonomyType.FLAT,
            "levels": TaxonomyType.HIERARCHICAL,
            "hierarchical_nodes": TaxonomyType.HIERARCHICAL,
        }
        named = [name for name in shapes if getattr(self, name) is not None]
        if len(named) != 1 and self.says_something:
            raise ValueError("send one of source_collection, levels and hierarchical_nodes")
        if named and self.taxonomy_type not in (None, shapes[named[0]]):
            raise ValueError(f"a taxonomy with {named[0]} is {shapes[named[0]]}")
        return self

    @property
    def says_something(self) -> bool:
        """Whether any key of a configuration was sent."""
        return any(getattr(self, name) is not None for name in TaxonomyConfigBody.model_fields)
