"""What requests say of clusters, checked against what there is, as it is then stored."""

from app.api.cluster_body import AttributeConfigBody, CreateCluster, VectorConfigBody
from app.clusters.definition import AttributeConfig, Definition, VectorConfig
from app.clusters.method import ClusteringMethod, parse_parameters
from app.clusters.reading import ATTRIBUTES
from app.clusters.source import find_source
from app.errors import InvalidError, NotFoundError, Problem
from app.http.body import JsonObject
from app.query.condition import compile_filters
from app.resources.collection import Collection
from app.resources.document import FIELDS
from app.resources.extractor import Limits
from app.stores import Stores


def check_name(name: str) -> None:
    """`InvalidError` for a name that reads like an id."""
    if name.startswith("clust_"):
        message = "names that begin with 'clust_' are ids: take another name"
        raise InvalidError.at("body", "cluster_name", message=message)


def check_filters(filters: JsonObject | None) -> tuple[JsonObject, ...]:
    """The filters as a definition has them; `InvalidError` for what documents don't have."""
    return (filters,) if compile_filters(filters, FIELDS) and filters else ()


def checked_parameters(method: ClusteringMethod, raw: JsonObject, *place: str) -> JsonObject:
    """Every parameter of the method; `InvalidError` beneath the place in the body."""
    try:
        return parse_parameters(method, raw).model_dump(mode="json")
    except InvalidError as exc:
        raise _beneath(exc, *place) from exc


def definition_of(stores: Stores, namespace_id: str, body: CreateCluster) -> Definition:
    """What the body defines, checked against the collections that there are."""
    collections = collections_of(stores, namespace_id, body.collection_ids)
    definition = Definition(
        collection_ids=tuple(each.collection_id for each in collections),
        vector=None if body.vector_config is None else _vector(body.vector_config),
        attribute=None if body.attribute_config is None else _attribute(body.attribute_config),
        filters=check_filters(body.filters),
    )
    check_source(stores, collections, definition)
    return definition


def collections_of(
    stores: Stores, namespace_id: str, identifiers: list[str] | tuple[str, ...]
) -> list[Collection]:
    """The collections, each once; `InvalidError` naming those that the namespace does not have."""
    found: dict[str, Collection] = {}
    problems = []
    for index, identifier in enumerate(identifiers):
        try:
            one = stores.collections.get(identifier, namespace_id=namespace_id)
            found[one.collection_id] = one
        except NotFoundError as exc:
            problems.append(Problem(("body", "collection_ids", index), str(exc)))
    if problems:
        raise InvalidError(problems)
    return list(found.values())


def check_source(stores: Stores, collections: list[Collection], definition: Definition) -> None:
    """`InvalidError` unless these collections have the features, with vectors that agree."""
    if definition.vector is None:
        return
    settings = stores.settings
    limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
    try:
        find_source(collections, definition.vector.features, limits)
    except InvalidError as exc:
        raise _beneath(exc) from exc


def _vector(body: VectorConfigBody) -> VectorConfig:
    method = body.clustering_method
    return VectorConfig(
        feature_uris=body.uris,
        method=method,
        algorithm_params=checked_parameters(method, body.parameters, "vector_config"),
        sample_size=body.sample_size,
        strategy=body.multi_feature_strategy,
        normalize=body.normalize_features,
        weights=body.weights,
        projection=body.projection,
    )


def _attribute(body: AttributeConfigBody) -> AttributeConfig:
    place = ("body", "attribute_config", "attributes")
    paths = [ATTRIBUTES.find(name, (*place, i)).path for i, name in enumerate(body.attributes)]
    if len(set(paths)) < len(paths):
        raise InvalidError.at(*place, message="the attributes name a field twice")
    return AttributeConfig(
        tuple(body.attributes), body.hierarchical_grouping, body.aggregation_method
    )


def _beneath(exc: InvalidError, *place: str) -> InvalidError:
    return InvalidError(
        [Problem(("body", *place, *one.location), one.message, one.kind) for one in exc.problems]
    )
