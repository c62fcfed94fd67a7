"""What a cluster groups, and by what: as it was checked, and as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from app.clusters.method import ClusteringMethod, Parameters, parse_parameters
from app.database import Document
from app.receipts.receipt import JsonObject


class ClusterType(StrEnum):
    """Whether vectors are compared, or values of fields."""

    VECTOR = "vector"
    ATTRIBUTE = "attribute"


class ProjectionMethod(StrEnum):
    """How documents are laid out in the plane; umap needs an extra of the workers."""

    PCA = "pca"
    UMAP = "umap"


class Strategy(StrEnum):
    """How several features become one vector; the two differ in whether weights must be named."""

    CONCATENATE = "concatenate"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class VectorConfig:
    """Vectors of these features, grouped by a method; `algorithm_params` has every parameter.

    `normalize` brings each feature's vectors to length 1 where there are several features; one
    alone is taken as it is. `weights` are by feature name, and complete where there are any.
    """

    feature_uris: tuple[str, ...]
    method: ClusteringMethod
    algorithm_params: JsonObject
    sample_size: int | None
    strategy: Strategy
    normalize: bool
    weights: Mapping[str, float]
    projection: ProjectionMethod

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document."""
        return cls(
            feature_uris=tuple(stored["feature_uris"]),
            method=ClusteringMethod(stored["clustering_method"]),
            algorithm_params=stored["algorithm_params"],
            sample_size=stored["sample_size"],
            strategy=Strategy(stored["multi_feature_strategy"]),
            normalize=stored["normalize_features"],
            weights=stored["feature_weights"] or {},
            projection=ProjectionMethod(stored["projection"]),
        )

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, as documents have them."""
        return tuple(feature_of(uri) for uri in self.feature_uris)

    @property
    def parameters(self) -> Parameters:
        """The method's parameters."""
        return parse_parameters(self.method, self.algorithm_params)

    def to_json(self) -> JsonObject:
        return {
            "feature_uris": list(self.feature_uris),
            "clustering_method": self.method.value,
            "algorithm_params": self.algorithm_params,
            "sample_size": self.sample_size,
            "multi_feature_strategy": self.strategy.value,
            "normalize_features": self.normalize,
            "feature_weights": dict(self.weights) or None,
            "projection": self.projection.value,
        }


@dataclass(frozen=True, slots=True)
class AttributeConfig:
    """Documents with the same values of these fields; hierarchical: groups within groups."""

    attributes: tuple[str, ...]
    hierarchical_grouping: bool
    aggregation_method: str | None

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document."""
        return cls(
            attributes=tuple(stored["attributes"]),
            hierarchical_grouping=stored["hierarchical_grouping"],
            aggregation_method=stored["aggregation_method"],
        )

    def to_json(self) -> JsonObject:
        return {
            "attributes": list(self.attributes),
            "hierarchical_grouping": self.hierarchical_grouping,
            "aggregation_method": self.aggregation_method,
        }


@dataclass(frozen=True, slots=True)
class Definition:
    """Which documents, and by what they are grouped: exactly one of the two configs is there.

    All of the filters must hold, each as `app.query.condition` takes it.
    """

    collection_ids: tuple[str, ...]
    vector: VectorConfig | None
    attribute: AttributeConfig | None
    filters: tuple[JsonObject, ...]

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document."""
        vector, attribute = stored["vector_config"], stored["attribute_config"]
        return cls(
            collection_ids=tuple(stored["collection_ids"]),
            vector=None if vector is None else VectorConfig.from_document(vector),
            attribute=None if attribute is None else AttributeConfig.from_document(attribute),
            filters=tuple(stored["filters"]),
        )

    @property
    def cluster_type(self) -> ClusterType:
        return ClusterType.ATTRIBUTE if self.vector is None else ClusterType.VECTOR

    def to_json(self) -> JsonObject:
        return {
            "cluster_type": self.cluster_type.value,
            "collection_ids": list(self.collection_ids),
            "vector_config": None if self.vector is None else self.vector.to_json(),
            "attribute_config": None if self.attribute is None else self.attribute.to_json(),
            "filters": list(self.filters),
        }

    def narrowed(self, filters: JsonObject | None, sample_size: int | None) -> "Definition":
        """The same for one execution: these filters must hold as well, this sample goes first."""
        vector = self.vector
        if vector is not None and sample_size is not None:
            vector = replace(vector, sample_size=sample_size)
        more = (filters,) if filters else ()
        return replace(self, vector=vector, filters=(*self.filters, *more))


def feature_of(uri: str) -> str:
    """The name of the feature that the URI means, its last segment; a name means itself."""
    return uri.rstrip("/").rpartition("/")[2]
