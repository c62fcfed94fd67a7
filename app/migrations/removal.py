"""Where the rows lie that a migration wrote and nobody ever saw."""

from collections.abc import Iterator
from typing import Final

from app.migrations.migration import Migration
from app.migrations.plan import TrackKind
from app.migrations.resource import ResourceType
from app.migrations.transfer import COLLECTIONS, OWNERS
from app.resources.extraction import FAILURES
from app.resources.removal import Range

HOLDERS: Final = {
    ResourceType.BUCKET: TrackKind.OBJECTS,
    ResourceType.COLLECTION: TrackKind.DOCUMENTS,
}


def leftovers(migration: Migration) -> Iterator[Range]:
    """The rows under the ids of what only this migration would have made reachable."""
    yield Range(FAILURES, {"batch_id": migration.migration_id})
    for resource in migration.plan.resources if migration.plan else ():
        kind = HOLDERS.get(resource.resource_type)
        if kind is not None:
            target_id = migration.ids.new(resource.resource_id)
            yield Range(COLLECTIONS[kind], {OWNERS[kind]: target_id})
