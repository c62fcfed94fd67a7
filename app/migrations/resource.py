"""The standing resources of a namespace that migrate, and what each depends on; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.receipts.receipt import JsonObject


class ResourceType(StrEnum):
    """Kinds of resources, in the order in which they build on each other."""

    BUCKET = "bucket"
    COLLECTION = "collection"
    TAXONOMY = "taxonomy"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Resource:
    """One of them; `dependencies` are ids of what it refers to, `tier` is how deep it stands."""

    resource_type: ResourceType
    resource_id: str
    name: str
    dependencies: tuple[str, ...] = ()
    tier: int = 0

    def to_json(self) -> JsonObject:
        """A node of the dependency graph."""
        return {
            "resource_id": self.resource_id,
            "resource_type": self.resource_type.value,
            "name": self.name,
            "dependencies": list(self.dependencies),
            "tier": self.tier,
        }


def ids_within(value: object, prefixes: Mapping[str, ResourceType]) -> set[str]:
    """Every text anywhere in `value` that is an id of one of the kinds."""
    match value:
        case str():
            return {value} if value.partition("_")[0] in prefixes and "_" in value else set()
        case dict():
            return set().union(*(ids_within(each, prefixes) for each in value.values()), set())
        case list():
            return set().union(*(ids_within(each, prefixes) for each in value), set())
        case _:
            return set()
