"""Where each kind of resource is stored, and what makes it this namespace's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.migrations.resource import ResourceType


@dataclass(frozen=True, slots=True)
class Kind:
    """A MongoDB collection of standing resources, unique by name within a namespace.

    `begins_with` are fields that the copy begins with, whatever the source has there.
    """

    collection: str
    name_field: str
    begins_with: Mapping[str, object] = field(default_factory=dict)


KINDS: Final[Mapping[ResourceType, Kind]] = {
    ResourceType.BUCKET: Kind("buckets", "bucket_name"),
    # Its documents may differ from the source's: its schema is made of them anew.
    ResourceType.COLLECTION: Kind(
        "collections",
        "collection_name",
        {
            "index_version": 0,
            "document_schema": [],
            "schema_version": 1,
            "last_schema_sync": None,
        },
    ),
    ResourceType.TAXONOMY: Kind("taxonomies", "taxonomy_name"),
    # Definitions migrate, executions do not: they name documents of the source.
    ResourceType.CLUSTER: Kind(
        "clusters", "cluster_name", {"newest_run_id": None, "last_run": None}
    ),
}
PREFIXES: Final[Mapping[str, ResourceType]] = {
    "bkt": ResourceType.BUCKET,
    "col": ResourceType.COLLECTION,
    "tax": ResourceType.TAXONOMY,
    "clust": ResourceType.CLUSTER,
}
