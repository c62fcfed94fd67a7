"""From what was examined to what a run does."""

from collections.abc import Sequence

from pymongo.database import Database

from app.database import Document
from app.migrations.config import MigrationConfig, MigrationType
from app.migrations.idmap import IdMap
from app.migrations.plan import Plan, Track, TrackKind
from app.migrations.resource import Resource, ResourceType
from app.migrations.stage import Stage
from app.resources.document import DocumentStore
from app.resources.stored_object import ObjectStore


def planned(
    database: Database[Document],
    config: MigrationConfig,
    ids: IdMap,
    resources: Sequence[Resource],
) -> Plan:
    """The tracks of the resources' rows, with what there is of them now.

    A collection that is extracted anew has none: its documents come of its buckets' objects.
    """
    buckets = [each for each in resources if each.resource_type is ResourceType.BUCKET]
    collections = [each for each in resources if each.resource_type is ResourceType.COLLECTION]
    usage = ObjectStore(database).usage(each.resource_id for each in buckets)
    counts = {key: each.object_count for key, each in usage.items()}
    tracks = [_track(TrackKind.OBJECTS, each, ids, counts) for each in buckets]
    totals = {
        Stage.CLUSTER_EXECUTION: _number(resources, ResourceType.CLUSTER),
        Stage.TAXONOMY_ENRICHMENT: _number(resources, ResourceType.TAXONOMY),
    }
    if config.migration_type is MigrationType.RE_EXTRACT:
        totals[Stage.BATCH_PROCESSING] = sum(
            counts.get(bucket_id, 0) for each in collections for bucket_id in each.dependencies
        )
    else:
        counts = DocumentStore(database).counts(each.resource_id for each in collections)
        tracks += [_track(TrackKind.DOCUMENTS, each, ids, counts) for each in collections]
    return Plan.of(resources, tracks, totals)


def _track(kind: TrackKind, resource: Resource, ids: IdMap, counts: dict[str, int]) -> Track:
    key = resource.resource_id
    return Track(kind, key, ids.new(key), resource.name, counts.get(key, 0))


def _number(resources: Sequence[Resource], kind: ResourceType) -> int:
    return sum(each.resource_type is kind for each in resources)
