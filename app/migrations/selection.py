"""Which resources of a namespace migrate, in which order; pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from app.migrations.config import ResourceFilter
from app.migrations.finding import Finding
from app.migrations.resource import Resource, ResourceType

# A collection is nothing without its buckets: no filter leaves them out.
ALWAYS_ALONG = ResourceType.BUCKET


def select(
    resources: Sequence[Resource], filters: ResourceFilter
) -> tuple[list[Resource], list[Finding]]:
    """The chosen resources, what others build on first, and what is wrong with the choice."""
    known = {each.resource_id: each for each in resources}
    named = filters.named
    chosen = set(known if named is None else known.keys() & set(named))
    findings = [
        Finding("resource_missing", f"The source has no resource '{each[:128]}'", each[:128])
        for each in named or ()
        if each not in known
    ]
    for each in sorted(_closure(chosen, known) - chosen):
        if filters.auto_include_dependencies or known[each].resource_type is ALWAYS_ALONG:
            chosen.add(each)
            continue
        left = known[each]
        message = f"The {left.resource_type} '{left.name}' is left out, and others refer to it"
        findings.append(Finding("dependency_left_out", message, each, left.resource_type))
    if not chosen and not findings:
        findings.append(Finding("empty_selection", "There is nothing to migrate in the source"))
    return ordered([known[each] for each in chosen]), findings


def ordered(resources: Iterable[Resource]) -> list[Resource]:
    """The resources with their tiers, lower tiers first, then by kind and id.

    Each has only those dependencies that are among them; a circle of them ends in one tier.
    """
    left = {each.resource_id: each for each in resources}
    within = left.keys()
    narrowed = {
        key: replace(each, dependencies=tuple(sorted(set(each.dependencies) & within - {key})))
        for key, each in left.items()
    }
    found: list[Resource] = []
    placed: set[str] = set()
    tier = 0
    while narrowed:
        ready = [key for key, each in narrowed.items() if placed.issuperset(each.dependencies)]
        now = [replace(narrowed[key], tier=tier) for key in ready or narrowed]
        found += sorted(now, key=_rank)
        placed.update(each.resource_id for each in now)
        narrowed = {key: each for key, each in narrowed.items() if key not in placed}
        tier += 1
    return found


def _rank(resource: Resource) -> tuple[int, str]:
    return list(ResourceType).index(resource.resource_type), resource.resource_id


def _closure(chosen: Collection[str], known: Mapping[str, Resource]) -> set[str]:
    """The chosen ids and all that they build on, at any depth, among the known ones."""
    found: set[str] = set()
    left = list(chosen)
    while left:
        key = left.pop()
        if key in known and key not in found:
            found.add(key)
            left.extend(known[key].dependencies)
    return found
