"""Clusters, their executions, and what these found."""

from typing import Any, TypedDict

from waybill.types.json import JsonObject, Status


class Cluster(TypedDict):
    """A way of grouping documents; its status is that of its newest execution, DRAFT before."""

    cluster_id: str
    namespace_id: str
    cluster_name: str
    description: str | None
    metadata: JsonObject
    collection_ids: list[str]
    input_collections: list[str]
    cluster_type: str
    vector_config: JsonObject | None
    attribute_config: JsonObject | None
    filters: JsonObject | None
    algorithm: str
    algorithm_params: JsonObject | None
    feature_uris: list[str] | None
    sample_size: int | None
    clustered_attributes: list[str] | None
    status: Status
    error: str | None
    task_id: str | None
    last_execution_task_id: str | None
    last_run_id: str | None
    num_clusters: int | None
    num_documents_clustered: int | None
    quality_metrics: JsonObject | None
    last_executed_at: str | None
    completed_at: str | None
    created_at: str
    updated_at: str


class Representative(TypedDict):
    """A document near to its group's centre."""

    document_id: str
    collection_id: str


class Centroid(TypedDict):
    """The mean of a group's vectors; null for a group by values."""

    cluster_id: str
    label: str
    num_members: int
    centroid_vector: list[float] | None
    representative_ids: list[Representative]


class Execution(TypedDict):
    """One execution; without a result its counts are zeros. `centroids` are null in lists."""

    run_id: str
    cluster_id: str
    namespace_id: str
    task_id: str
    status: Status
    mode: str
    stage: str | None
    definition: JsonObject
    num_clusters: int
    num_points: int
    noise_count: int
    source_documents: int | None
    vectors_clustered: int | None
    metrics: JsonObject | None
    converged: bool | None
    iterations: int | None
    notes: list[str]
    centroids: list[Centroid] | None
    error_message: str | None
    created_at: str
    completed_at: str | None


class Member(TypedDict):
    """A document's group; `labels` has the groups around it, too, outermost first."""

    document_id: str
    collection_id: str
    label: int
    labels: list[int]


class ClusterGroup(TypedDict):
    """One group; `parent` is the number of the one around it, `values` are its attributes'."""

    cluster_id: str
    label: str
    number: int
    member_count: int
    values: dict[str, Any] | None
    parent: int | None
    level: int
    representatives: list[Representative]
    centroid: list[float] | None


class ClusterGroups(TypedDict):
    """All groups of an execution; noise is in none of them."""

    cluster_id: str
    run_id: str
    total_groups: int
    total_documents: int
    noise_count: int
    groups: list[ClusterGroup]


class Point(TypedDict):
    """A document in the plane; noise has the label -1."""

    document_id: str
    x: float
    y: float
    label: int


class LegendEntry(TypedDict):
    """What a label means, and how many documents have it."""

    label: int
    name: str
    size: int


class Visualization(TypedDict):
    """Documents in the plane."""

    cluster_id: str
    run_id: str
    method: str
    axes: list[str]
    total_points: int
    shown_points: int
    noise_count: int
    legend: list[LegendEntry]
    points: list[Point]
