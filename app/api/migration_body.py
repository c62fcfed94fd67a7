"""What requests say of a migration."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from app.api.callback import CallbackUrl
from app.api.migration_word import ASKED, PublicWord
from app.http.body import Body, Flag, Integer, JsonObject, Metadata, Name, Off, On
from app.http.example import example
from app.http.listing import ListBody
from app.migrations.config import (
    DEFAULT_STEP_ROWS,
    MigrationConfig,
    MigrationType,
    Replacement,
    ResourceFilter,
)
from app.receipts.status import TaskStatusEnum

MAX_IDS: Final = 5_000
MAX_REPLACEMENTS: Final = 100
# The row keeps what is asked and what was found about each id, and MongoDB bounds it.
MAX_CONFIG_BYTES: Final = 1024 * 1024

Identifier = Annotated[str, Field(min_length=1, max_length=128)]
Ids = Annotated[list[Identifier], Field(max_length=MAX_IDS)]
NoIds = Annotated[list[Identifier], Field(max_length=0)]


class ReplacementBody(Body):
    """An extractor for collections of the target: those that are named, or that have its name."""

    feature_extractor_name: Annotated[str, Field(min_length=1, max_length=128)]
    version: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    parameters: Metadata | None = None
    input_mappings: Metadata | None = None
    collection_ids: Ids | None = None

    def to_value(self) -> Replacement:
        return Replacement(
            feature_extractor_name=self.feature_extractor_name,
            version=self.version,
            parameters=self.parameters or {},
            input_mappings=self.input_mappings,
            collection_ids=self.collection_ids,
        )


class FilterBody(Body):
    """Which resources go along; there are no retrievers, and no part of a collection does."""

    collection_ids: Ids | None = None
    taxonomy_ids: Ids | None = None
    cluster_ids: Ids | None = None
    retriever_ids: NoIds | None = None
    date_range: None = None
    auto_include_dependencies: Flag = True

    def to_value(self) -> ResourceFilter:
        return ResourceFilter(
            collection_ids=self.collection_ids,
            taxonomy_ids=self.taxonomy_ids,
            cluster_ids=self.cluster_ids,
            auto_include_dependencies=self.auto_include_dependencies,
        )


class BatchOptions(Body):
    """How many rows are written at once; the other keys are what the public client sends."""

    batch_size: Annotated[Integer, Field(ge=1, le=1_000)] = DEFAULT_STEP_ROWS
    max_workers: Literal[10] = 10
    retry_failed: On = True


class TaxonomyOptions(Body):
    """What the public client sends. Ids are never preserved: they are global."""

    preserve_taxonomy_ids: On = True
    preserve_enrichment_fields: On = True
    re_run_enrichment: Off = False
    migrate_reference_collections: On = True


class ClusterOptions(Body):
    """What the public client sends. Ids are never preserved: they are global."""

    preserve_cluster_ids: On = True
    preserve_assignments: On = True
    migrate_artifacts: On = True
    preserve_centroids: On = True
    recompute_clusters: Off = False


class RetrieverOptions(Body):
    """What the public client sends; there are no retrievers here."""

    preserve_retriever_ids: Off = False
    migrate_interactions: Off = False
    migrate_execution_history: Off = False
    validate_references: On = True


class ConfigKeys(Body):
    """The keys of a configuration, wherever they stand."""

    source_namespace_id: Identifier | None = None
    target_namespace_id: Identifier | None = None
    target_namespace_name: Name | None = None
    feature_extractors: (
        Annotated[list[ReplacementBody], Field(max_length=MAX_REPLACEMENTS)] | None
    ) = None
    filters: FilterBody | None = None
    batch_options: BatchOptions | None = None
    taxonomy_options: TaxonomyOptions | None = None
    cluster_options: ClusterOptions | None = None
    retriever_options: RetrieverOptions | None = None
    preserve_resource_ids: Off = False
    dry_run: Flag = False
    webhook_url: CallbackUrl | None = None


class ConfigBody(ConfigKeys):
    """What is migrated, and how; namespaces by id or name."""

    migration_type: MigrationType
    source_namespace_id: Identifier

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        extends = self.migration_type is MigrationType.EXTEND
        if extends and (self.target_namespace_id is None or self.target_namespace_name):
            raise ValueError("extend goes into an existing namespace: name target_namespace_id")
        if not extends and (self.target_namespace_name is None or self.target_namespace_id):
            raise ValueError(
                f"{self.migration_type} makes a new namespace: name target_namespace_name"
            )
        if self.feature_extractors and self.migration_type is not MigrationType.RE_EXTRACT:
            raise ValueError("feature_extractors are for re_extract: leave them out")
        if len(self.model_dump_json().encode()) > MAX_CONFIG_BYTES:
            raise ValueError(f"the configuration is larger than {MAX_CONFIG_BYTES} bytes")
        return self

    def to_value(self, source_id: str, target_id: str | None) -> MigrationConfig:
        """With the ids that the named namespaces have."""
        options = self.batch_options or BatchOptions()
        return MigrationConfig(
            migration_type=self.migration_type,
            source_namespace_id=source_id,
            target_namespace_id=target_id,
            target_namespace_name=self.target_namespace_name,
            feature_extractors=tuple(each.to_value() for each in self.feature_extractors or ()),
            filters=(self.filters or FilterBody()).to_value(),
            step_rows=options.batch_size,
            dry_run=self.dry_run,
            webhook_url=self.webhook_url,
        )


CONFIG_EXAMPLE: Final[JsonObject] = {
    "migration_type": "copy",
    "source_namespace_id": "shop",
    "target_namespace_name": "shop-2",
}


class ValidateMigration(ConfigKeys):
    """A configuration, as `config` or by its keys."""

    model_config = example({"config": CONFIG_EXAMPLE}, CONFIG_EXAMPLE)

    config: ConfigBody | None = None
    migration_type: MigrationType | None = None

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        if self.config is not None and self._keys():
            raise ValueError("send the configuration as config, or by its keys, not both")
        if self.config is None:
            ConfigBody.model_validate(self._keys())
        return self

    @property
    def asked(self) -> ConfigBody:
        """The configuration, wherever it stood."""
        return self.config or ConfigBody.model_validate(self._keys())

    def _keys(self) -> JsonObject:
        known = ConfigBody.model_fields.keys()
        return {name: getattr(self, name) for name in self.model_fields_set if name in known}


class CreateMigration(ValidateMigration):
    """A migration to be."""

    model_config = example({"config": CONFIG_EXAMPLE, "start_immediately": False})

    start_immediately: Flag = False


class StartMigration(Body):
    """Nothing to say; errors of the validation are never passed over."""

    model_config = example({})

    force: Off = False


class ListMigrations(ListBody):
    """What a list of migrations takes; a status in our words or the public client's."""

    model_config = example({"status": "COMPLETED", "include_total": True})

    status: TaskStatusEnum | PublicWord | None = None
    migration_type: MigrationType | None = None
    source_namespace_id: Identifier | None = None

    @property
    def wanted_statuses(self) -> tuple[TaskStatusEnum, ...]:
        """In our words, all that it means; none where any will do."""
        if self.status is None:
            return ()
        return (self.status,) if isinstance(self.status, TaskStatusEnum) else ASKED[self.status]

    @property
    def shorthand(self) -> JsonObject:
        """What is asked for besides filters."""
        return {
            "migration_type": self.migration_type,
            "source_namespace_id": self.source_namespace_id,
        }
