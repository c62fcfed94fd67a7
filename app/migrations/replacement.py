"""The extractors that collections of the target get; pure, but for the check of an extractor."""

from collections.abc import Mapping, Sequence

from app.database import Document
from app.errors import InvalidError
from app.migrations.config import MigrationConfig, MigrationType, Replacement
from app.migrations.finding import Finding
from app.migrations.resource import ResourceType
from app.resources.collection import Collection, FeatureExtractor
from app.resources.extractor import EXTRACTORS, Limits, input_sources
from app.resources.property import shown
from app.resources.schema import BucketSchema


def chosen(config: MigrationConfig, collection: Collection) -> Replacement | None:
    """The replacement that means the collection, the first where several do."""
    for each in config.feature_extractors:
        if each.collection_ids is not None:
            if collection.collection_id in each.collection_ids:
                return each
        elif each.feature_extractor_name == collection.feature_extractor.name:
            return each
    return None


def extractor_of(config: MigrationConfig, collection: Collection) -> FeatureExtractor:
    """The extractor that the collection has in the target."""
    before, wanted = collection.feature_extractor, chosen(config, collection)
    if wanted is None:
        return before
    same = wanted.feature_extractor_name == before.name
    kept = before.input_mappings if same else {}
    return FeatureExtractor(
        name=wanted.feature_extractor_name,
        version=wanted.version or before.version,
        parameters=wanted.parameters,
        input_mappings=kept if wanted.input_mappings is None else wanted.input_mappings,
    )


def replaced(row: Document, config: MigrationConfig, before: Document) -> Document:
    """The row of the target, with the extractor that it has there if it is a collection."""
    if config.migration_type is not MigrationType.RE_EXTRACT or "feature_extractor" not in row:
        return row
    return {
        **row,
        "feature_extractor": extractor_of(config, Collection.from_document(before)).to_json(),
    }


def extractor_findings(
    config: MigrationConfig,
    collections: Sequence[Collection],
    schemas: Mapping[str, BucketSchema],
    limits: Limits,
) -> list[Finding]:
    """What keeps the collections from being extracted anew; `schemas` are by bucket id."""
    findings = [
        Finding(
            "extractor_unused",
            f"No collection that migrates takes the extractor '{shown(each.feature_extractor_name)}"
            "': name its collection_ids, or an extractor that is replaced",
        )
        for each in config.feature_extractors
        if not any(chosen(config, collection) is each for collection in collections)
    ]
    for collection in collections:
        flaw = _flaw(extractor_of(config, collection), collection, schemas, limits)
        if flaw is not None:
            message = f"The collection '{collection.collection_name}' cannot be extracted: {flaw}"
            findings.append(
                Finding(
                    "extractor_invalid",
                    message,
                    collection.collection_id,
                    ResourceType.COLLECTION,
                )
            )
    return findings


def _flaw(
    spec: FeatureExtractor,
    collection: Collection,
    schemas: Mapping[str, BucketSchema],
    limits: Limits,
) -> str | None:
    try:
        extractor = EXTRACTORS.check(spec.name, spec.parameters, spec.input_mappings, limits)
    except InvalidError as exc:
        return str(exc)
    for name, source in input_sources(extractor.inputs, spec.input_mappings).items():
        for bucket_id in collection.bucket_ids:
            schema = schemas.get(bucket_id)
            if schema is not None and schema.properties and source not in schema.properties:
                return (
                    f"input '{shown(name)}' reads property '{shown(source)}', which its bucket "
                    "does not have"
                )
    return None
