"""What a migration is asked to do, as its row keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, Self

from app.database import Document
from app.receipts.receipt import JsonObject

DEFAULT_STEP_ROWS: Final = 100


class MigrationType(StrEnum):
    """Into a new namespace, beside what another holds, or anew through the extractors."""

    COPY = "copy"
    EXTEND = "extend"
    RE_EXTRACT = "re_extract"


@dataclass(frozen=True, slots=True)
class Replacement:
    """An extractor that collections of the target get.

    `collection_ids` None means those whose extractor has this name; `input_mappings` None leaves
    theirs.
    """

    feature_extractor_name: str
    version: str | None
    parameters: JsonObject
    input_mappings: JsonObject | None = None
    collection_ids: list[str] | None = None


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """Which resources go along: all where no list is given, else those that the lists name."""

    collection_ids: list[str] | None = None
    taxonomy_ids: list[str] | None = None
    cluster_ids: list[str] | None = None
    auto_include_dependencies: bool = True

    @property
    def named(self) -> list[str] | None:
        """The ids of all lists, or None: everything is meant."""
        lists = (self.collection_ids, self.taxonomy_ids, self.cluster_ids)
        given = [ids for ids in lists if ids is not None]
        return [each for ids in given for each in ids] if given else None


EVERYTHING: Final = ResourceFilter()


@dataclass(frozen=True, slots=True)
class MigrationConfig:
    """What is asked; `target_namespace_id` None where the target is new, and has only a name."""

    migration_type: MigrationType
    source_namespace_id: str
    target_namespace_id: str | None = None
    target_namespace_name: str | None = None
    feature_extractors: tuple[Replacement, ...] = ()
    filters: ResourceFilter = EVERYTHING
    step_rows: int = DEFAULT_STEP_ROWS
    dry_run: bool = False
    webhook_url: str | None = None  # is told of the end

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """What `to_document` made."""
        return cls(
            **{
                **stored,
                "migration_type": MigrationType(stored["migration_type"]),
                "feature_extractors": tuple(
                    Replacement(**each) for each in stored["feature_extractors"]
                ),
                "filters": ResourceFilter(**stored["filters"]),
            }
        )

    def to_document(self) -> Document:
        """As the row keeps it."""
        stored = asdict(self)
        return {
            **stored,
            "migration_type": self.migration_type.value,
            "feature_extractors": list(stored["feature_extractors"]),
        }

    def to_json(self) -> JsonObject:
        """As requests bring it."""
        shown: Mapping[str, object] = self.to_document()
        kept = {name: value for name, value in shown.items() if name != "step_rows"}
        return {
            **kept,
            "batch_options": {"batch_size": self.step_rows},
            "preserve_resource_ids": False,
        }
