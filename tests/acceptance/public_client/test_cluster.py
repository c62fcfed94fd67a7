"""Clusters through the public client."""

import pytest
from mixpeek import (
    AlgorithmParams,
    AttributeBasedConfig,
    ClusteringAlgorithm,
    ClusterType,
    CreateClusterRequest,
    ExecuteClusterByIdRequest,
    KmeansParameters,
    KMeansParams,
    ListClusterExecutionsRequest,
    ListClustersRequest,
    PatchClusterRequest,
    TaskStatusEnum,
    VectorBasedConfigInput,
)
from mixpeek.exceptions import NotFoundException

from tests.acceptance.public_client.test_task import ended
from tests.acceptance.public_client.vendor import Vendor, filters, order
from tests.acceptance.shop import Shop, text_object

pytestmark = pytest.mark.timeout(240)


def by_kmeans(shop: Shop, name: str, n_clusters: int) -> CreateClusterRequest:
    """A cluster as the package's users define it, with all that its models send by themselves."""
    parameters = KMeansParams(n_clusters=n_clusters)
    return CreateClusterRequest(
        collection_ids=[shop.collection_id],
        cluster_name=name,
        cluster_type=ClusterType.VECTOR,
        vector_config=VectorBasedConfigInput(
            feature_uris=["mixpeek://text_extractor@v1/text"],
            clustering_method=ClusteringAlgorithm.KMEANS,
            algorithm_params=AlgorithmParams(parameters),
        ),
        filters=filters({"field": "fields.price", "operator": "lt", "value": 100}),
    )


def test_a_cluster_from_its_beginning_to_its_end(vendor: Vendor, shop: Shop) -> None:
    made = vendor.clusters.create_cluster(by_kmeans(shop, "topics", 3))
    assert made.cluster_id is not None
    assert (made.cluster_name, made.algorithm) == ("topics", "kmeans")
    assert (made.input_collections, made.cluster_type) == ([shop.collection_id], "vector")
    assert made.algorithm_params is not None
    assert made.algorithm_params["n_clusters"] == 3
    assert (made.status, made.last_run_id) == (TaskStatusEnum.DRAFT, None)
    assert vendor.clusters.get_cluster("topics") == made

    named = by_kmeans(shop, "under its own name", 4)
    assert named.vector_config is not None
    named.vector_config.algorithm_params = None
    named.vector_config.kmeans_parameters = KmeansParameters(KMeansParams(n_clusters=4))
    other = vendor.clusters.create_cluster(named)
    assert other.algorithm_params is not None
    assert other.algorithm_params["n_clusters"] == 4
    shelves = vendor.clusters.create_cluster(
        CreateClusterRequest(
            collection_ids=[shop.collection_id],
            cluster_name="shelves",
            cluster_type=ClusterType.ATTRIBUTE,
            attribute_config=AttributeBasedConfig(attributes=["price"], hierarchical_grouping=True),
        )
    )
    assert (shelves.clustered_attributes, shelves.algorithm) == (["price"], "attribute_based")

    patch = PatchClusterRequest(
        description="What it is about", sample_size=50, algorithm_params={"n_clusters": 2}
    )
    changed = vendor.clusters.patch_cluster("topics", patch)
    assert (changed.description, changed.cluster_id) == ("What it is about", made.cluster_id)
    assert changed.vector_config is not None
    assert changed.vector_config.sample_size == 50

    body = ListClustersRequest(search="about", sort=order("created_at", "asc"))
    page = vendor.clusters.list_clusters(include_total=True, list_clusters_request=body)
    assert ([one.cluster_name for one in page.results], page.total_count) == (["topics"], 1)
    every = vendor.clusters.list_clusters_get(limit=5)
    assert [one.cluster_name for one in every.results] == ["shelves", named.cluster_name, "topics"]
    vendor.clusters.delete_cluster(made.cluster_id)
    with pytest.raises(NotFoundException):
        vendor.clusters.get_cluster(made.cluster_id)


def test_a_cluster_is_executed(vendor: Vendor, shop: Shop) -> None:
    shop.process(
        shop.add(text_object(f"{n % 2} {'rain' if n % 2 else 'bread'}", price=n) for n in range(9))
    )
    cluster = vendor.clusters.create_cluster(by_kmeans(shop, "topics", 2))
    assert cluster.cluster_id is not None
    assert vendor.cluster_executions.get_cluster_execution(cluster.cluster_id) is None
    task = vendor.clusters.execute_clustering_clusters(
        cluster.cluster_id,
        ExecuteClusterByIdRequest(
            filters=filters({"field": "fields.price", "operator": "lt", "value": 8})
        ),
    )
    assert task.task_type.value == "engine_cluster_build"
    assert ended(vendor, task.task_id).status is TaskStatusEnum.COMPLETED
    assert task.additional_data is not None
    run_id = task.additional_data["run_id"]

    latest = vendor.cluster_executions.get_cluster_execution(cluster.cluster_id)
    assert (latest.run_id, latest.status) == (run_id, "completed")
    assert (latest.num_clusters, latest.num_points) == (2, 8)
    assert latest.metrics is not None
    assert latest.metrics.silhouette_score is not None
    assert latest.centroids is not None
    assert sum(each.num_members for each in latest.centroids) == 8
    by_run = vendor.cluster_executions.get_cluster_execution_by_run(cluster.cluster_id, run_id)
    assert by_run == latest
    listed = vendor.cluster_executions.list_cluster_executions(
        cluster.cluster_id,
        limit=5,
        list_cluster_executions_request=ListClusterExecutionsRequest(
            sort=order("created_at", "desc")
        ),
    )
    assert ([one.run_id for one in listed.results], listed.total_count) == ([run_id], 1)
    groups = vendor.clusters.get_cluster_groups(cluster.cluster_id)
    assert (groups.run_id, groups.total_groups, groups.total_documents) == (run_id, 2, 8)
    view = vendor.clusters.get_cluster_visualization(
        cluster.cluster_id, max_points=4, run_id=run_id
    )
    assert isinstance(view, dict)
    assert len(view["points"]) == 4
    read = vendor.clusters.get_cluster(cluster.cluster_id)
    assert (read.status, read.last_run_id) == (TaskStatusEnum.COMPLETED, run_id)
    assert (read.num_clusters, read.num_documents_clustered) == (2, 8)
    after = vendor.cluster_executions.cancel_execution_clusters_id_run(cluster.cluster_id, run_id)
    assert after is not None
    assert ended(vendor, task.task_id).status is TaskStatusEnum.COMPLETED
