"""What a collection has run on it after each of its batches: taxonomies and clusters."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

from app.receipts.receipt import JsonObject

DEFAULT_COOLDOWN_S: Final = 3600  # as the public client's model has it


@dataclass(frozen=True, slots=True)
class TaxonomyApplication:
    """A taxonomy whose nodes are assigned to the collection's documents, there or in a target.

    `scroll_filters` select the documents; None means all of them.
    """

    taxonomy_id: str
    target_collection_id: str | None = None
    scroll_filters: JsonObject | None = None

    @classmethod
    def from_document(cls, stored: Mapping[str, object]) -> Self:
        """The stored application."""
        return cls(**stored)  # type: ignore[arg-type] # as `to_document` left it

    def to_document(self) -> JsonObject:
        return asdict(self)

    def to_json(self) -> JsonObject:
        return {
            **asdict(self),
            "execution_mode": "materialize",
            "execution_phase": 1,
            "priority": 0,
        }


@dataclass(frozen=True, slots=True)
class ClusterApplication:
    """A cluster that is executed: not again within the cooldown, nor with too few documents."""

    cluster_id: str
    auto_execute_on_batch: bool = True
    min_document_threshold: int | None = None
    cooldown_seconds: int = DEFAULT_COOLDOWN_S

    @classmethod
    def from_document(cls, stored: Mapping[str, object]) -> Self:
        """The stored application."""
        return cls(**stored)  # type: ignore[arg-type] # as `to_document` left it

    def to_document(self) -> JsonObject:
        return asdict(self)

    def to_json(self) -> JsonObject:
        return {**asdict(self), "execution_phase": 2, "priority": 0}


@dataclass(frozen=True, slots=True)
class Applications:
    """All that runs after a collection's batches."""

    taxonomies: tuple[TaxonomyApplication, ...] = ()
    clusters: tuple[ClusterApplication, ...] = ()


NO_APPLICATIONS: Final = Applications()
