"""What a migration would meet, found out without touching anything."""

from collections.abc import Iterator, Sequence
from typing import Final

import bson
from pymongo.database import Database

from app.database import Document
from app.migrations.config import MigrationConfig, MigrationType
from app.migrations.finding import Finding, Severity, Validation
from app.migrations.idmap import OF_USERS
from app.migrations.kind import KINDS, PREFIXES
from app.migrations.opening import names_taken
from app.migrations.replacement import extractor_findings, extractor_of
from app.migrations.resource import Resource, ResourceType, ids_within
from app.migrations.selection import select
from app.migrations.store import MigrationStore
from app.receipts.quota import COLLECTION as NAMESPACES
from app.resources.collection import Collection
from app.resources.document import DocumentStore
from app.resources.extractor import Limits
from app.resources.schema import BucketSchema
from app.resources.stored_object import ObjectStore

# The plan of a run and its report are kept in the migration's row, which MongoDB bounds.
MAX_RESOURCES: Final = 5_000
MAX_GRAPH_BYTES: Final = 2 * 1024 * 1024

SOURCE_MISSING: Final = Finding("source_missing", "There is no source namespace like that")
TARGET_MISSING: Final = Finding("target_missing", "There is no target namespace like that")


class Examiner:
    """Looks at source and target of a migration as they are at this moment."""

    def __init__(
        self, database: Database[Document], migrations: MigrationStore, limits: Limits
    ) -> None:
        self._database = database
        self._migrations = migrations
        self._limits = limits

    def examine(self, config: MigrationConfig, *, migration_id: str | None = None) -> Validation:
        """Findings, resources in order, and counts; `migration_id` is whose config it is."""
        findings = [*self._about_namespaces(config, migration_id)]
        if SOURCE_MISSING in findings:
            return Validation(findings)
        rows = self._rows(config.source_namespace_id)
        chosen, more = select([_resource(kind, row) for kind, row in rows], config.filters)
        findings += more
        if (flaw := _flaw(chosen)) is not None:
            # Without the graph, which the row of a draft could not hold either.
            return Validation([*findings, flaw], counts=self._counts(chosen))
        if config.target_namespace_id is not None:
            findings += _conflicts(names_taken(self._database, config.target_namespace_id, chosen))
        ids = {each.resource_id for each in chosen}
        if config.migration_type is MigrationType.RE_EXTRACT:
            findings += self._about_extractors(
                config, [each for each in rows if each[1]["_id"] in ids]
            )
        return Validation(findings, chosen, self._counts(chosen))

    def _about_namespaces(
        self, config: MigrationConfig, migration_id: str | None
    ) -> Iterator[Finding]:
        namespaces = self._database[NAMESPACES]
        if namespaces.find_one({"_id": config.source_namespace_id}, {"_id": 1}) is None:
            yield SOURCE_MISSING
        target = config.target_namespace_id
        if target is not None:
            if target == config.source_namespace_id:
                message = "Source and target are one namespace: name another as the target"
                yield Finding("target_is_source", message)
            if namespaces.find_one({"_id": target}, {"_id": 1}) is None:
                yield TARGET_MISSING
        name = config.target_namespace_name
        if name is not None and namespaces.find_one({"namespace_name": name}, {"_id": 1}):
            yield Finding("name_taken", f"There is already a namespace named '{name}'")
        for rival in self._migrations.rivals(target, name, migration_id):
            message = f"The migration '{rival}' is at work on the same target: wait for its end"
            yield Finding("target_busy", message)

    def _rows(self, namespace_id: str) -> list[tuple[ResourceType, Document]]:
        """Every standing resource of the namespace, as stored."""
        scope = {"namespace_id": namespace_id}
        return [
            (resource_type, row)
            for resource_type, kind in KINDS.items()
            for row in self._database[kind.collection].find(scope).sort("_id", 1)
        ]

    def _about_extractors(
        self, config: MigrationConfig, rows: Sequence[tuple[ResourceType, Document]]
    ) -> list[Finding]:
        schemas = {
            row["_id"]: BucketSchema.parse(row["bucket_schema"])
            for kind, row in rows
            if kind is ResourceType.BUCKET
        }
        collections = [
            Collection.from_document(row) for kind, row in rows if kind is ResourceType.COLLECTION
        ]
        findings = extractor_findings(config, collections, schemas, self._limits)
        for each in collections:
            before, after = each.feature_extractor, extractor_of(config, each)
            if before.name != after.name and any(
                each.collection_id in ids_within(row, PREFIXES)
                for kind, row in rows
                if kind in (ResourceType.TAXONOMY, ResourceType.CLUSTER)
            ):
                message = (
                    f"The collection '{each.collection_name}' gets another extractor: taxonomies "
                    "and clusters that name its feature have to be changed"
                )
                findings.append(
                    Finding(
                        "feature_changes",
                        message,
                        each.collection_id,
                        ResourceType.COLLECTION,
                        Severity.WARNING,
                    )
                )
        return findings

    def _counts(self, chosen: Sequence[Resource]) -> dict[str, int]:
        """How many there are of each kind, and how many rows they hold."""
        by_kind = {
            kind: [each.resource_id for each in chosen if each.resource_type is kind]
            for kind in ResourceType
        }
        usage = ObjectStore(self._database).usage(by_kind[ResourceType.BUCKET])
        documents = DocumentStore(self._database).counts(by_kind[ResourceType.COLLECTION])
        return {
            "buckets": len(by_kind[ResourceType.BUCKET]),
            "collections": len(by_kind[ResourceType.COLLECTION]),
            "taxonomies": len(by_kind[ResourceType.TAXONOMY]),
            "clusters": len(by_kind[ResourceType.CLUSTER]),
            "objects": sum(each.object_count for each in usage.values()),
            "object_bytes": sum(each.total_size_bytes for each in usage.values()),
            "documents": sum(documents.values()),
        }


def _flaw(chosen: Sequence[Resource]) -> Finding | None:
    """What makes them too many for one migration."""
    if len(chosen) > MAX_RESOURCES:
        message = f"{len(chosen)} resources are too many: {MAX_RESOURCES} migrate at once"
    elif len(bson.encode({"nodes": [each.to_json() for each in chosen]})) > MAX_GRAPH_BYTES:
        message = "The resources' names and references are too long together: choose by filters"
    else:
        return None
    return Finding("too_many_resources", message)


def _resource(resource_type: ResourceType, row: Document) -> Resource:
    own = {name: value for name, value in row.items() if name not in ("_id", *OF_USERS)}
    return Resource(
        resource_type,
        row["_id"],
        row[KINDS[resource_type].name_field],
        tuple(sorted(ids_within(own, PREFIXES) - {row["_id"]})),
    )


def _conflicts(taken: Sequence[Resource]) -> list[Finding]:
    return [
        Finding(
            f"{each.resource_type}_name_taken",
            f"The target has a {each.resource_type} named '{each.name}' already",
            each.resource_id,
            each.resource_type,
        )
        for each in taken
    ]
