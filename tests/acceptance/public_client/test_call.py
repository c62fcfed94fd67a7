"""The contract's calls, the package's methods for them, and the tests that make them."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import mixpeek
import pytest

from tests.acceptance.public_client import (
    test_batch,
    test_bucket,
    test_cluster,
    test_document,
    test_migration,
    test_namespace,
    test_object,
    test_task,
    test_taxonomy,
    test_webhook,
)

Test = Callable[..., None]


class Way(NamedTuple):
    """One of the package's methods, and a test that makes the call with it."""

    api: str
    method: str
    test: Test


NAMESPACE: Final = test_namespace.test_a_namespace_from_its_beginning_to_its_end
NAMESPACES: Final = test_namespace.test_namespaces_are_listed
HEALTH: Final = test_namespace.test_health_is_read
BUCKET: Final = test_bucket.test_a_bucket_from_its_beginning_to_its_end
BUCKETS: Final = test_bucket.test_buckets_are_listed_by_filter_order_search_and_page
COLLECTION: Final = test_bucket.test_a_collection_from_its_beginning_to_its_end
COLLECTIONS: Final = test_bucket.test_collections_are_listed
OBJECT: Final = test_object.test_an_object_from_its_beginning_to_its_end
OBJECTS: Final = test_object.test_objects_are_listed_by_filter_order_and_page
OBJECT_BATCH: Final = test_object.test_a_batch_of_objects_succeeds_in_part
DRAFT: Final = test_batch.test_a_draft_takes_objects_and_is_found
BATCHES: Final = test_batch.test_a_list_by_status_goes_on_while_batches_end
SUBMITTED: Final = test_batch.test_a_batch_is_submitted_and_retried
CANCELED: Final = test_batch.test_a_waiting_batch_is_canceled
DOCUMENT: Final = test_document.test_documents_are_read
DOCUMENTS: Final = test_document.test_documents_are_listed_by_filter_order_and_page
GROUPS: Final = test_document.test_documents_are_grouped
MIGRATION: Final = test_migration.test_a_migration_from_its_beginning_to_its_end
CLUSTER: Final = test_cluster.test_a_cluster_from_its_beginning_to_its_end
EXECUTION: Final = test_cluster.test_a_cluster_is_executed
TAXONOMY: Final = test_taxonomy.test_a_taxonomy_from_its_beginning_to_its_end
APPLIED: Final = test_taxonomy.test_a_taxonomy_is_tried_and_applied
WEBHOOK: Final = test_webhook.test_a_webhook_from_its_beginning_to_its_end

# Every call of these resources that we promise; () where the package has no method for it.
CALLS: Final[dict[str, tuple[Way, ...]]] = {
    "GET /v1/tasks/{}": (Way("TasksApi", "get_task", test_task.test_a_task_reads_as_it_is_stored),),
    "DELETE /v1/tasks/{}": (
        Way("TasksApi", "kill_task", test_task.test_a_running_task_is_killed_and_says_so),
    ),
    "POST /v1/tasks/list": (
        Way(
            "TasksApi",
            "list_tasks",
            test_task.test_tasks_are_listed_by_filter_order_search_and_page,
        ),
    ),
    "POST /v1/tasks/{}/kill": (),
    "GET /v1/tasks/{}/history": (),
    "GET /v1/tasks/{}/events": (),
    "POST /v1/tasks/{}/suspend": (),
    "POST /v1/tasks/{}/resume": (),
    "POST /v1/namespaces": (Way("NamespacesApi", "create_namespace", NAMESPACE),),
    "GET /v1/namespaces/{}": (Way("NamespacesApi", "get_namespace", NAMESPACE),),
    "PATCH /v1/namespaces/{}": (Way("NamespacesApi", "patch_namespace", NAMESPACE),),
    "DELETE /v1/namespaces/{}": (Way("NamespacesApi", "delete_namespace", NAMESPACE),),
    "POST /v1/namespaces/list": (Way("NamespacesApi", "list_namespaces", NAMESPACES),),
    "GET /v1/namespaces": (Way("NamespacesApi", "list_namespaces_get", NAMESPACES),),
    "POST /v1/buckets": (Way("BucketsApi", "create_bucket", BUCKET),),
    "GET /v1/buckets/{}": (Way("BucketsApi", "get_bucket", BUCKET),),
    "PATCH /v1/buckets/{}": (Way("BucketsApi", "patch_bucket", BUCKET),),
    "DELETE /v1/buckets/{}": (Way("BucketsApi", "delete_bucket", BUCKET),),
    "POST /v1/buckets/list": (Way("BucketsApi", "list_buckets", BUCKETS),),
    "GET /v1/buckets": (Way("BucketsApi", "list_buckets_get", BUCKETS),),
    "POST /v1/buckets/{}/objects": (Way("BucketObjectsApi", "create_object_buckets", OBJECT),),
    "GET /v1/buckets/{}/objects/{}": (Way("BucketObjectsApi", "get_object_buckets", OBJECT),),
    "DELETE /v1/buckets/{}/objects/{}": (Way("BucketObjectsApi", "delete_object_buckets", OBJECT),),
    "POST /v1/buckets/{}/objects/batch": (
        Way("BucketObjectsApi", "create_objects_batch_buckets", OBJECT_BATCH),
    ),
    "POST /v1/buckets/{}/objects/list": (Way("BucketObjectsApi", "list_objects_buckets", OBJECTS),),
    "GET /v1/buckets/{}/objects": (Way("BucketObjectsApi", "list_objects_get_buckets", OBJECTS),),
    "POST /v1/buckets/{}/batches": (
        Way("BucketBatchesApi", "create_batch_buckets_batches", DRAFT),
    ),
    "POST /v1/buckets/{}/batches/{}/objects": (
        Way("BucketBatchesApi", "add_objects_to_batch_buckets_batches", DRAFT),
    ),
    "GET /v1/buckets/{}/batches/{}": (Way("BucketBatchesApi", "get_batch_buckets_batches", DRAFT),),
    "GET /v1/batches/{}": (Way("BatchesApi", "get_batch_by_id_batches", DRAFT),),
    "POST /v1/buckets/{}/batches/list": (Way("BucketBatchesApi", "list_batches_buckets", BATCHES),),
    "POST /v1/buckets/{}/batches/{}/submit": (
        Way("BucketBatchesApi", "submit_batch_buckets_batches", SUBMITTED),
    ),
    "POST /v1/buckets/{}/batches/{}/retry": (
        Way("BucketBatchesApi", "retry_batch_buckets_batches", SUBMITTED),
    ),
    "GET /v1/buckets/{}/batches/{}/failed-documents": (
        Way("BucketBatchesApi", "get_failed_documents_buckets_batches_batch", SUBMITTED),
    ),
    "POST /v1/buckets/{}/batches/{}/cancel": (
        Way("BucketBatchesApi", "cancel_batch_buckets_batches", CANCELED),
    ),
    "POST /v1/collections": (Way("CollectionsApi", "create_collection", COLLECTION),),
    "GET /v1/collections/{}": (Way("CollectionsApi", "get_collection", COLLECTION),),
    "PATCH /v1/collections/{}": (Way("CollectionsApi", "update_collection", COLLECTION),),
    "DELETE /v1/collections/{}": (Way("CollectionsApi", "delete_collection", COLLECTION),),
    "POST /v1/collections/list": (Way("CollectionsApi", "list_collections", COLLECTIONS),),
    "GET /v1/collections": (Way("CollectionsApi", "list_collections_get", COLLECTIONS),),
    "GET /v1/collections/{}/documents/{}": (
        Way("CollectionDocumentsApi", "get_document", DOCUMENT),
    ),
    "GET /v1/collections/{}/documents/count": (
        Way("CollectionDocumentsApi", "count_documents", DOCUMENT),
    ),
    "POST /v1/collections/{}/documents/list": (
        Way("CollectionDocumentsApi", "list_documents", DOCUMENTS),
    ),
    "GET /v1/collections/{}/documents": (
        Way("CollectionDocumentsApi", "list_documents_0", DOCUMENTS),
    ),
    "POST /v1/collections/{}/documents/aggregate": (
        Way("CollectionDocumentsApi", "aggregate_documents", GROUPS),
    ),
    "POST /v1/clusters": (Way("ClustersApi", "create_cluster", CLUSTER),),
    "GET /v1/clusters/{}": (Way("ClustersApi", "get_cluster", CLUSTER),),
    "PATCH /v1/clusters/{}": (Way("ClustersApi", "patch_cluster", CLUSTER),),
    "DELETE /v1/clusters/{}": (Way("ClustersApi", "delete_cluster", CLUSTER),),
    "POST /v1/clusters/list": (Way("ClustersApi", "list_clusters", CLUSTER),),
    "GET /v1/clusters": (Way("ClustersApi", "list_clusters_get", CLUSTER),),
    "POST /v1/clusters/{}/execute": (Way("ClustersApi", "execute_clustering_clusters", EXECUTION),),
    "GET /v1/clusters/{}/groups": (Way("ClustersApi", "get_cluster_groups", EXECUTION),),
    "GET /v1/clusters/{}/visualization": (
        Way("ClustersApi", "get_cluster_visualization", EXECUTION),
    ),
    "GET /v1/clusters/{}/visualization.svg": (),
    "GET /v1/clusters/{}/visualization.png": (),
    "GET /v1/clusters/{}/executions": (
        Way("ClusterExecutionsApi", "get_cluster_execution", EXECUTION),
    ),
    "POST /v1/clusters/{}/executions/list": (
        Way("ClusterExecutionsApi", "list_cluster_executions", EXECUTION),
    ),
    "GET /v1/clusters/{}/executions/{}": (
        Way("ClusterExecutionsApi", "get_cluster_execution_by_run", EXECUTION),
    ),
    "POST /v1/clusters/{}/executions/{}/cancel": (
        Way("ClusterExecutionsApi", "cancel_execution_clusters_id_run", EXECUTION),
    ),
    "POST /v1/clusters/{}/executions/{}/members/list": (),
    "POST /v1/taxonomies": (Way("TaxonomiesApi", "create_taxonomy_taxonomies", TAXONOMY),),
    "GET /v1/taxonomies/{}": (Way("TaxonomiesApi", "get_taxonomy_taxonomies", TAXONOMY),),
    "PATCH /v1/taxonomies/{}": (Way("TaxonomiesApi", "patch_taxonomy_taxonomies", TAXONOMY),),
    "DELETE /v1/taxonomies/{}": (Way("TaxonomiesApi", "delete_taxonomy_taxonomies", TAXONOMY),),
    "GET /v1/taxonomies": (Way("TaxonomiesApi", "list_taxonomies", TAXONOMY),),
    "POST /v1/taxonomies/list": (Way("TaxonomiesApi", "list_taxonomies_0", TAXONOMY),),
    "GET /v1/taxonomies/{}/versions": (
        Way("TaxonomiesApi", "list_taxonomy_versions_taxonomies", TAXONOMY),
    ),
    "POST /v1/taxonomies/{}/versions": (
        Way("TaxonomiesApi", "create_taxonomy_version_taxonomies", TAXONOMY),
    ),
    "POST /v1/taxonomies/{}/execute": (
        Way("TaxonomiesApi", "execute_taxonomy_taxonomies_0", APPLIED),
    ),
    "POST /v1/taxonomies/execute/{}": (
        Way("TaxonomiesApi", "execute_taxonomy_taxonomies", APPLIED),
    ),
    "POST /v1/taxonomies/{}/materialize": (),
    "POST /v1/collections/{}/apply-taxonomy": (
        Way("CollectionTaxonomiesApi", "apply_taxonomy_to_collection", APPLIED),
    ),
    "POST /v1/namespaces/migrations/": (
        Way("NamespaceMigrationsApi", "create_migration_namespaces", MIGRATION),
    ),
    "POST /v1/namespaces/migrations/validate": (
        Way("NamespaceMigrationsApi", "validate_migration_namespaces", MIGRATION),
    ),
    "POST /v1/namespaces/migrations/list": (
        Way("NamespaceMigrationsApi", "list_migrations_namespaces", MIGRATION),
    ),
    "GET /v1/namespaces/migrations/{}": (
        Way("NamespaceMigrationsApi", "get_migration_namespaces", MIGRATION),
    ),
    "DELETE /v1/namespaces/migrations/{}": (
        Way("NamespaceMigrationsApi", "delete_migration_namespaces", MIGRATION),
    ),
    "POST /v1/namespaces/migrations/{}/start": (
        Way("NamespaceMigrationsApi", "start_migration_namespaces", MIGRATION),
    ),
    "POST /v1/namespaces/migrations/{}/cancel": (
        Way("NamespaceMigrationsApi", "cancel_migration_namespaces", MIGRATION),
    ),
    "POST /v1/namespaces/migrations/{}/rollback": (),
    "POST /v1/organizations/webhooks": (
        Way("WebhooksApi", "create_webhook_organizations", WEBHOOK),
    ),
    "POST /v1/organizations/webhooks/list": (
        Way("WebhooksApi", "list_webhooks_organizations", WEBHOOK),
    ),
    "GET /v1/organizations/webhooks/{}": (
        Way("WebhooksApi", "get_webhook_organizations", WEBHOOK),
    ),
    "PUT /v1/organizations/webhooks/{}": (
        Way("WebhooksApi", "update_webhook_organizations", WEBHOOK),
    ),
    "DELETE /v1/organizations/webhooks/{}": (
        Way("WebhooksApi", "delete_webhook_organizations", WEBHOOK),
    ),
    "GET /v1/organizations/webhooks": (),
    "POST /v1/organizations/webhooks/{}/test": (),
    "POST /v1/organizations/webhooks/{}/rotate-secret": (),
    "GET /v1/organizations/webhooks/{}/deliveries": (),
    "POST /v1/organizations/webhooks/{}/deliveries/list": (),
    "GET /v1/organizations/webhooks/{}/deliveries/{}": (),
    "POST /v1/organizations/webhooks/{}/deliveries/{}/replay": (),
    "POST /v1/organizations/webhooks/{}/deliveries/replay": (),
    "POST /v1/organizations/webhooks/{}/deliveries/purge": (),
    "GET /v1/organizations/webhooks/callback-secret": (),
    "POST /v1/organizations/webhooks/callback-secret/rotate": (),
    "GET /v1/health": (Way("HealthApi", "healthcheck_health", HEALTH),),
    "GET /v1/health/beat": (Way("HealthApi", "celery_beat_health", HEALTH),),
}
APIS: Final = sorted(name for name in mixpeek.__all__ if name.endswith("Api"))
SERIALIZER: Final = re.compile(r"^_(\w+)_serialize$")


def methods_of(api: str) -> Iterator[tuple[str, str]]:
    """The call and the name of each method of one of the package's classes."""
    for name, function in inspect.getmembers(getattr(mixpeek, api), inspect.isfunction):
        if found := SERIALIZER.match(name):
            source = inspect.getsource(function)
            (verb,) = re.findall(r"method='(\w+)'", source)
            (path,) = re.findall(r"resource_path='([^']+)'", source)
            yield f"{verb} {re.sub(r'{[^}]*}', '{}', path)}", found[1]


def test_every_method_for_a_call_that_we_promise_is_here() -> None:
    found = {
        (call, api, method) for api in APIS for call, method in methods_of(api) if call in CALLS
    }
    named = {(call, way.api, way.method) for call, ways in CALLS.items() for way in ways}
    assert found == named


@pytest.mark.parametrize(
    "way", [way for ways in CALLS.values() for way in ways], ids=lambda way: way.method
)
def test_the_named_test_makes_the_call(way: Way) -> None:
    assert re.search(rf"\.{way.method}\(", inspect.getsource(way.test))
