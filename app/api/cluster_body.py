"""What requests say of clusters."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from app.api.callback import CallbackUrl
from app.clusters.definition import (
    ClusterType,
    ProjectionMethod,
    Strategy,
    feature_of,
)
from app.clusters.method import ClusteringMethod
from app.http.body import Body, Description, Flag, JsonObject, Metadata, Name, Off
from app.http.example import example
from app.http.filtering import Filters

MAX_COLLECTIONS: Final = 100
MAX_FEATURES: Final = 10
MAX_ATTRIBUTES: Final = 10
MAX_WEIGHT: Final = 1_000_000

SampleSize = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]
Uri = Annotated[str, Field(min_length=1, max_length=500)]
Weight = Annotated[float, Field(strict=True, gt=0, le=MAX_WEIGHT)]


class VectorConfigBody(Body):
    """Which features, and how their vectors are grouped.

    A feature is named ("text"), or its URI is, whose last segment is the name. The parameters of
    the method are `algorithm_params`, or, as the public client has them, `kmeans_parameters` and
    the like. The keys after `projection` are those that the client always sends.
    """

    feature_uri: Uri | None = None
    feature_uris: list[Uri] | None = Field(None, min_length=1, max_length=MAX_FEATURES)
    clustering_method: ClusteringMethod
    sample_size: SampleSize | None = None
    algorithm_params: JsonObject | None = None
    kmeans_parameters: JsonObject | None = None
    dbscan_parameters: JsonObject | None = None
    hdbscan_parameters: JsonObject | None = None
    multi_feature_strategy: Strategy = Strategy.CONCATENATE
    normalize_features: Flag = True
    feature_weights: dict[Uri, Weight] | None = Field(None, max_length=MAX_FEATURES)
    projection: ProjectionMethod = ProjectionMethod.PCA
    output_strategy: Literal["single"] = "single"
    effective_feature_method: Literal["mean"] = "mean"
    enrich_source: Off = False
    hierarchical: Off = False
    max_hierarchy_depth: Literal[3] = 3
    vis_n_components: Literal[2] = 2

    @model_validator(mode="after")
    def _features_once(self) -> Self:
        if (self.feature_uri is None) == (self.feature_uris is None):
            raise ValueError("say which features: send feature_uris (or feature_uri, for one)")
        names = [feature_of(uri) for uri in self.uris]
        if len(set(names)) < len(names):
            raise ValueError("feature_uris name a feature twice")
        return self

    @model_validator(mode="after")
    def _parameters_once(self) -> Self:
        named = {
            "kmeans_parameters": self.kmeans_parameters,
            "dbscan_parameters": self.dbscan_parameters,
            "hdbscan_parameters": self.hdbscan_parameters,
        }
        given = [name for name, value in named.items() if value is not None]
        if len(given) + (self.algorithm_params is not None) > 1:
            raise ValueError("the parameters are said twice: send algorithm_params alone")
        if given and given != [f"{self.clustering_method}_parameters"]:
            raise ValueError(f"{given[0]} are of another method than {self.clustering_method}")
        return self

    @model_validator(mode="after")
    def _weights_whole(self) -> Self:
        weights = self.weights
        if len(weights) < len(self.feature_weights or {}):
            raise ValueError("feature_weights name a feature twice")
        features = {feature_of(uri) for uri in self.uris}
        if unknown := sorted(weights.keys() - features):
            raise ValueError(f"feature_weights name '{unknown[0][:64]}', which is no feature here")
        if self.multi_feature_strategy is Strategy.WEIGHTED and weights.keys() != features:
            raise ValueError("weighted: feature_weights name a weight for each of the features")
        return self

    @property
    def uris(self) -> tuple[str, ...]:
        """The features, whichever key they came under."""
        return tuple(self.feature_uris or [self.feature_uri or ""])

    @property
    def weights(self) -> dict[str, float]:
        """The weights by feature name."""
        return {feature_of(uri): weight for uri, weight in (self.feature_weights or {}).items()}

    @property
    def parameters(self) -> JsonObject:
        """The method's parameters, whichever key they came under."""
        named = self.kmeans_parameters or self.dbscan_parameters or self.hdbscan_parameters
        return self.algorithm_params or named or {}


class AttributeConfigBody(Body):
    """Which fields: `metadata.<name>`, `fields.<name>`, or the bare name of one of the latter.

    All members of a group have the same values, so the three methods come to the same.
    """

    attributes: list[str] = Field(min_length=1, max_length=MAX_ATTRIBUTES)
    hierarchical_grouping: Flag = False
    aggregation_method: Literal["most_frequent", "first", "last"] | None = None


class CreateCluster(Body):
    """A cluster to be: by vectors, or by attributes."""

    model_config = example(
        {
            "cluster_name": "topics",
            "collection_ids": ["texts"],
            "cluster_type": "vector",
            "vector_config": {
                "feature_uris": ["text"],
                "clustering_method": "kmeans",
                "algorithm_params": {"n_clusters": 3},
            },
        },
        {
            "cluster_name": "shelves",
            "collection_ids": ["texts"],
            "cluster_type": "attribute",
            "attribute_config": {"attributes": ["price"], "hierarchical_grouping": True},
        },
    )

    cluster_name: Name
    collection_ids: list[str] = Field(min_length=1, max_length=MAX_COLLECTIONS)
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    cluster_type: ClusterType | None = None
    vector_config: VectorConfigBody | None = None
    attribute_config: AttributeConfigBody | None = None
    filters: Filters | None = None
    # The public client always sends these.
    enrich_source_collection: Off = False
    auto_execute_on_batch: Off = False
    auto_execute_cooldown_seconds: Literal[3600] = 3600

    @model_validator(mode="after")
    def _one_config(self) -> Self:
        if (self.vector_config is None) == (self.attribute_config is None):
            raise ValueError("a cluster is by vector_config or by attribute_config: send one")
        kind = ClusterType.ATTRIBUTE if self.vector_config is None else ClusterType.VECTOR
        if self.cluster_type not in (None, kind):
            raise ValueError(f"cluster_type is {self.cluster_type}, but the config is of {kind}")
        return self


class PatchCluster(Body):
    """What changes, for later executions; a key that is left out stays as it is."""

    model_config = example({"description": "Topics of the goods"})

    cluster_name: Name | None = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    algorithm_params: JsonObject | None = None
    sample_size: SampleSize | None = None
    filters: Filters | None = None


class ExecuteCluster(Body):
    """How this execution differs: only documents that `filters` select as well, or a sample."""

    model_config = example({"filters": {"field": "fields.price", "operator": "lt", "value": 10}})

    mode: Literal["full"] = "full"
    filters: Filters | None = None
    sample_size: SampleSize | None = None
    webhook_url: CallbackUrl | None = None
    # The public client's, at what it sends or means by leaving them out.
    assignment_threshold: float = Field(0.5, ge=0.5, le=0.5)
    vis_n_components: Literal[2] | None = None
    defer_visualization: Off | None = None


class CancelExecution(Body):
    """Why the execution is to end."""

    model_config = example({"reason": "the wrong method"})

    reason: str | None = Field(None, max_length=1_000)
