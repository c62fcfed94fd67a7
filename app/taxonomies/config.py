"""What one version of a taxonomy says: its levels of nodes, and how documents are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

from app.receipts.receipt import JsonObject

MAX_TOP_K: Final = 50  # the public client's bound
DEFAULT_RETRIEVER: Final = "exact_cosine"


class TaxonomyType(StrEnum):
    """One level of nodes, or several of which each hangs under the one above."""

    FLAT = "flat"
    HIERARCHICAL = "hierarchical"


class MergeMode(StrEnum):
    """What a document gets of several assignments: the best one's value, or a list of all."""

    REPLACE = "replace"
    APPEND = "append"


class InputSource(StrEnum):
    """Where an input of the comparison comes from."""

    VECTOR = "vector"
    PAYLOAD = "payload"
    LITERAL = "literal"


@dataclass(frozen=True, slots=True)
class Enrichment:
    """A value of a node that the documents get that are assigned to it."""

    field_path: str
    target_field: str
    merge_mode: MergeMode = MergeMode.REPLACE


@dataclass(frozen=True, slots=True)
class Source:
    """A collection whose documents are nodes.

    A node hangs under the kept nodes of `parent_collection_id` (None: of any collection above),
    and with a `parent_field` only under those whose `key_field` has the value that it has there.
    """

    collection_id: str
    parent_collection_id: str | None = None
    label: str | None = None
    label_field: str | None = None
    key_field: str | None = None
    parent_field: str | None = None
    enrichment: tuple[Enrichment, ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes that compete: the best `top_k` with a score above the threshold are kept."""

    sources: tuple[Source, ...]
    top_k: int = 1
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class InputMapping:
    """One input: a vector of the documents, a field of theirs, or one value for all of them."""

    input_key: str
    source_type: InputSource
    path: str | None = None
    override: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """One version. `said` is how a request said it, ids in place of names; answers show that."""

    taxonomy_type: TaxonomyType
    levels: tuple[Level, ...]
    input_mappings: tuple[InputMapping, ...]
    said: JsonObject

    @classmethod
    def from_document(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_document` made."""
        return cls(
            taxonomy_type=TaxonomyType(stored["taxonomy_type"]),
            levels=tuple(_level(each) for each in stored["levels"]),
            input_mappings=tuple(
                InputMapping(**{**each, "source_type": InputSource(each["source_type"])})
                for each in stored["input_mappings"]
            ),
            said=stored["said"],
        )

    def to_document(self) -> JsonObject:
        return asdict(self)

    @property
    def sources(self) -> Sequence[Source]:
        """Those of all levels, the root's first."""
        return [source for level in self.levels for source in level.sources]

    @property
    def makes_vectors(self) -> bool:
        """Whether documents are put through the nodes' extractor instead."""
        return any(each.source_type is not InputSource.VECTOR for each in self.input_mappings)


def _level(stored: Mapping[str, Any]) -> Level:
    sources = tuple(
        Source(**{**each, "enrichment": tuple(_enrichment(one) for one in each["enrichment"])})
        for each in stored["sources"]
    )
    return Level(sources, stored["top_k"], stored["threshold"])


def _enrichment(stored: Mapping[str, Any]) -> Enrichment:
    return Enrichment(**{**stored, "merge_mode": MergeMode(stored["merge_mode"])})
