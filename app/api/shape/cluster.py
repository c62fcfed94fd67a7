"""Clusters, their executions and what these found, as answers have them."""

from typing import Annotated

from pydantic import Field, RootModel

from app.api.shape.page import CountedPage, page_example
from app.clusters.definition import ClusterType
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum

Count = Annotated[int, Field(ge=0)]

VECTOR_CONFIG: Json = {
    "feature_uris": ["text"],
    "clustering_method": "kmeans",
    "algorithm_params": {"n_clusters": 3},
    "sample_size": None,
    "multi_feature_strategy": "concatenate",
    "normalize_features": True,
    "feature_weights": None,
    "projection": "pca",
}
METRICS: Json = {
    "silhouette_score": 0.41,
    "davies_bouldin_index": 0.93,
    "calinski_harabasz_score": 210.7,
    "avg_cluster_size": 20.0,
    "noise_ratio": 0.0,
    "cluster_size_entropy": 1.09,
    "silhouette_points": 60,
    "undefined": {},
}
EXAMPLE: Json = {
    "cluster_id": "clust_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "cluster_name": "topics",
    "description": None,
    "metadata": {},
    "collection_ids": ["col_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
    "input_collections": ["col_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
    "cluster_type": "vector",
    "vector_config": VECTOR_CONFIG,
    "attribute_config": None,
    "filters": None,
    "algorithm": "kmeans",
    "algorithm_params": {"n_clusters": 3},
    "feature_uris": ["text"],
    "sample_size": None,
    "clustered_attributes": None,
    "status": "COMPLETED",
    "error": None,
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "last_execution_task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "last_run_id": "run_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "num_clusters": 3,
    "num_documents_clustered": 60,
    "quality_metrics": METRICS,
    "last_executed_at": "2026-01-31T12:00:00.000Z",
    "completed_at": "2026-01-31T12:00:04.000Z",
    "created_at": "2026-01-31T11:59:00.000Z",
    "updated_at": "2026-01-31T12:00:04.000Z",
}
EXECUTION: Json = {
    "run_id": "run_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "cluster_id": "clust_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "status": "COMPLETED",
    "mode": "full",
    "stage": None,
    "definition": {
        "cluster_type": "vector",
        "collection_ids": ["col_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
        "vector_config": VECTOR_CONFIG,
        "attribute_config": None,
        "filters": [],
    },
    "num_clusters": 3,
    "num_points": 60,
    "noise_count": 0,
    "source_documents": 60,
    "vectors_clustered": 60,
    "metrics": METRICS,
    "converged": True,
    "iterations": 4,
    "notes": [],
    "centroids": [],
    "error_message": None,
    "created_at": "2026-01-31T12:00:00.000Z",
    "completed_at": "2026-01-31T12:00:04.000Z",
}


class Cluster(Answer):
    """One cluster: what it groups, and what its newest and its latest completed execution say."""

    model_config = example(EXAMPLE)

    cluster_id: str
    namespace_id: str
    cluster_name: str
    description: str | None
    metadata: Json
    collection_ids: list[str]
    input_collections: list[str]
    cluster_type: ClusterType
    vector_config: Json | None
    attribute_config: Json | None
    filters: Json | None
    algorithm: str
    algorithm_params: Json | None
    feature_uris: list[str] | None
    sample_size: int | None
    clustered_attributes: list[str] | None
    status: TaskStatusEnum
    error: str | None
    task_id: str | None
    last_execution_task_id: str | None
    last_run_id: str | None
    num_clusters: int | None
    num_documents_clustered: int | None
    quality_metrics: Json | None
    last_executed_at: Time | None
    completed_at: Time | None
    created_at: Time
    updated_at: Time


class ClusterPage(CountedPage[Cluster]):
    """A page of clusters."""

    model_config = example(page_example(EXAMPLE, total_count=1))


class Representative(Answer):
    """A document near to its group's centre."""

    document_id: str
    collection_id: str


class Centroid(Answer):
    """The mean of a group's vectors; null for a group by values."""

    cluster_id: str
    label: str
    num_members: Count
    centroid_vector: list[float] | None
    representative_ids: list[Representative]


class Execution(Answer):
    """One execution. `stage` is what it does at the moment."""

    model_config = example(EXECUTION)

    run_id: str
    cluster_id: str
    namespace_id: str
    task_id: str
    status: TaskStatusEnum
    mode: str
    stage: str | None
    definition: Json
    num_clusters: Count
    num_points: Count
    noise_count: Count
    source_documents: int | None
    vectors_clustered: int | None
    metrics: Json | None
    converged: bool | None
    iterations: int | None
    notes: list[str]
    centroids: list[Centroid] | None
    error_message: str | None
    created_at: Time
    completed_at: Time | None


class LatestExecution(RootModel[Execution | None]):
    """The newest execution, or null."""

    model_config = example(EXECUTION)


class ExecutionPage(CountedPage[Execution]):
    """A page of executions."""

    model_config = example(page_example(EXECUTION, total_count=1))


class Member(Answer):
    """A document's group; `labels` has the groups around it, too, outermost first."""

    document_id: str
    collection_id: str
    label: int
    labels: list[int]


class MemberPage(CountedPage[Member]):
    """A page of members."""

    model_config = example(
        page_example(
            {
                "document_id": "doc_0196b1c0a4e87d11b8a40c3f5e2d9a77",
                "collection_id": "col_0196b1c0a4e87d11b8a40c3f5e2d9a77",
                "label": 0,
                "labels": [0],
            },
            total_count=1,
        )
    )


class ClusterGroup(Answer):
    """One group; `values` are those of its attributes, `parent` the number of the one around it."""

    cluster_id: str
    label: str
    number: int
    member_count: Count
    values: Json | None
    parent: int | None
    level: Count
    representatives: list[Representative]
    centroid: list[float] | None


class ClusterGroups(Answer):
    """All groups of an execution."""

    model_config = example(
        {
            "cluster_id": "clust_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "run_id": "run_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "total_groups": 0,
            "total_documents": 60,
            "noise_count": 60,
            "groups": [],
        }
    )

    cluster_id: str
    run_id: str
    total_groups: Count
    total_documents: Count
    noise_count: Count
    groups: list[ClusterGroup]


class Point(Answer):
    """A document in the plane; noise has the label -1."""

    document_id: str
    x: float
    y: float
    label: int


class LegendEntry(Answer):
    """What a label means, and how many documents have it."""

    label: int
    name: str
    size: Count


class Visualization(Answer):
    """Documents in the plane, and what the axes and labels mean."""

    model_config = example(
        {
            "cluster_id": "clust_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "run_id": "run_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "method": "pca",
            "axes": ["first principal component (31 %)", "second principal component (12 %)"],
            "total_points": 1,
            "shown_points": 1,
            "noise_count": 0,
            "legend": [{"label": 0, "name": "cluster 0", "size": 1}],
            "points": [
                {
                    "document_id": "doc_0196b1c0a4e87d11b8a40c3f5e2d9a77",
                    "x": 0.5,
                    "y": -0.25,
                    "label": 0,
                }
            ],
        }
    )

    cluster_id: str
    run_id: str
    method: str
    axes: list[str]
    total_points: Count
    shown_points: Count
    noise_count: Count
    legend: list[LegendEntry]
    points: list[Point]
