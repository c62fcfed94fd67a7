"""A tree of collections as levels, the roots first; pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from app.errors import InvalidError
from app.taxonomies.config import Level, Source


def levels_of(sources: Sequence[Source], *, top_k: int, threshold: float) -> tuple[Level, ...]:
    """The sources by their depth below a root, each named once as another's parent or a root.

    `InvalidError` for a parent that is not in the tree, and for a circle.
    """
    depths: dict[str, int] = {}
    waiting = list(sources)
    while waiting:
        found = {
            each.collection_id: 0 if parent is None else depths[parent] + 1
            for each in waiting
            for parent in [each.parent_collection_id]
            if parent is None or parent in depths
        }
        if not found:
            raise _loose(sources, waiting[0])
        depths |= found
        waiting = [each for each in waiting if each.collection_id not in depths]
    return tuple(
        Level(_at(depth, sources, depths), top_k, threshold)
        for depth in range(max(depths.values()) + 1)
    )


def require_once(sources: Sequence[Source]) -> None:
    """`InvalidError` for a collection that is named twice: a node has one place."""
    counts = Counter(each.collection_id for each in sources)
    twice = [collection_id for collection_id, count in counts.items() if count > 1]
    if twice:
        message = f"the collection '{twice[0]}' stands in two places: name each once"
        raise InvalidError.at("body", "config", message=message)


def _at(depth: int, sources: Sequence[Source], depths: Mapping[str, int]) -> tuple[Source, ...]:
    return tuple(each for each in sources if depths[each.collection_id] == depth)


def _loose(sources: Sequence[Source], source: Source) -> InvalidError:
    known = {each.collection_id for each in sources}
    parent = source.parent_collection_id
    what = "its own ancestor" if parent in known else "no collection of the tree"
    message = f"the parent of '{source.collection_id}' is {what}: '{parent}'"
    return InvalidError.at("body", "hierarchical_nodes", message=message)
