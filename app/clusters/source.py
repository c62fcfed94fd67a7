"""Where the vectors of a cluster lie: which collection has which of its features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import InvalidError, WaybillError
from app.resources.collection import Collection
from app.resources.extractor import EXTRACTORS, Feature, Limits

PLACE: Final = ("vector_config", "feature_uris")


@dataclass(frozen=True, slots=True)
class Source:
    """Features in the order of the request, each with its dimension and its collections.

    One feature may lie in several collections, whose documents follow one another. Several
    features lie in one collection each: then a row is an object, whose documents are joined.
    """

    features: tuple[Feature, ...]
    collection_ids: Mapping[str, tuple[str, ...]]  # by feature name

    @property
    def is_joined(self) -> bool:
        """Whether rows are objects rather than documents."""
        return len(self.features) > 1


def find_source(
    collections: Sequence[Collection], features: Sequence[str], limits: Limits
) -> Source:
    """Where the features lie in these collections.

    `InvalidError` at `("vector_config", "feature_uris", …)` for a feature that is missing, or has
    two dimensions, or lies in several collections beside other features.
    """
    found = {one.collection_id: _feature(one, limits) for one in collections}
    named = {one.collection_id: one.collection_name for one in collections}
    chosen: list[Feature] = []
    places: dict[str, tuple[str, ...]] = {}
    for index, name in enumerate(features):
        having = tuple(key for key, feature in found.items() if feature.name == name)
        if not having:
            known = ", ".join(sorted({feature.name for feature in found.values()}))
            message = f"no collection here has a feature '{name[:64]}': they have {known}"
            raise InvalidError.at(*PLACE, index, message=message, kind="unknown_feature")
        if len(features) > 1 and len(having) > 1:
            several = ", ".join(f"'{named[key]}'" for key in having)
            message = (
                f"beside other features, a feature lies in one collection: '{name}' lies in "
                f"{several}"
            )
            raise InvalidError.at(*PLACE, index, message=message)
        dimensions = {found[key].dimension for key in having}
        if len(dimensions) > 1:
            shown = " and ".join(str(each) for each in sorted(dimensions))
            message = f"the collections' vectors of '{name}' have {shown} numbers: they must agree"
            raise InvalidError.at(*PLACE, index, message=message)
        chosen.append(found[having[0]])
        places[name] = having
    _check_collections(features, found, named)
    return Source(tuple(chosen), places)


def _check_collections(
    features: Sequence[str], found: Mapping[str, Feature], named: Mapping[str, str]
) -> None:
    for key, feature in found.items():
        if feature.name not in features:
            message = (
                f"the collection '{named[key]}' has none of the features: its own is "
                f"'{feature.name}'"
            )
            raise InvalidError.at(*PLACE, message=message, kind="unknown_feature")


def _feature(collection: Collection, limits: Limits) -> Feature:
    extractor = collection.feature_extractor
    try:
        return EXTRACTORS.build(extractor.name, extractor.parameters, limits).feature
    except WaybillError as exc:
        name = collection.collection_name
        message = f"the extractor of the collection '{name}' cannot be used: {exc}"
        raise InvalidError.at(*PLACE, message=message) from exc
