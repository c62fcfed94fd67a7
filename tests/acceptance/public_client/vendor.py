"""The package's own generated classes, pointed at a stack as its users point them."""

from dataclasses import dataclass
from typing import Self, TypeVar

from mixpeek import (
    ApiClient,
    BatchesApi,
    BucketBatchesApi,
    BucketObjectsApi,
    BucketsApi,
    ClusterExecutionsApi,
    ClustersApi,
    CollectionDocumentsApi,
    CollectionsApi,
    CollectionTaxonomiesApi,
    Configuration,
    HealthApi,
    LogicalOperatorInput,
    NamespaceMigrationsApi,
    NamespacesApi,
    SortOption,
    TasksApi,
    TaxonomiesApi,
    WebhooksApi,
)

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class Vendor:
    """One class of the package for each kind of resource."""

    namespaces: NamespacesApi
    buckets: BucketsApi
    objects: BucketObjectsApi
    collections: CollectionsApi
    documents: CollectionDocumentsApi
    bucket_batches: BucketBatchesApi
    batches: BatchesApi
    clusters: ClustersApi
    cluster_executions: ClusterExecutionsApi
    taxonomies: TaxonomiesApi
    collection_taxonomies: CollectionTaxonomiesApi
    migrations: NamespaceMigrationsApi
    webhooks: WebhooksApi
    tasks: TasksApi
    health: HealthApi

    @classmethod
    def connect(cls, api_url: str, api_key: str, namespace: str | None = None) -> Self:
        """With a key and, where one is named, a namespace for every call."""
        configuration = Configuration(host=api_url, access_token=api_key)
        name = None if namespace is None else "X-Namespace"
        client = ApiClient(configuration, header_name=name, header_value=namespace)
        return cls(
            namespaces=NamespacesApi(client),
            buckets=BucketsApi(client),
            objects=BucketObjectsApi(client),
            collections=CollectionsApi(client),
            documents=CollectionDocumentsApi(client),
            bucket_batches=BucketBatchesApi(client),
            batches=BatchesApi(client),
            clusters=ClustersApi(client),
            cluster_executions=ClusterExecutionsApi(client),
            taxonomies=TaxonomiesApi(client),
            collection_taxonomies=CollectionTaxonomiesApi(client),
            migrations=NamespaceMigrationsApi(client),
            webhooks=WebhooksApi(client),
            tasks=TasksApi(client),
            health=HealthApi(client),
        )


def sent(body: Model | None) -> Model:
    """A body made by `from_dict`, which says that it may make none."""
    assert body is not None
    return body


def filters(*conditions: dict[str, object]) -> LogicalOperatorInput:
    """Conditions joined by AND, in the package's own model."""
    return sent(LogicalOperatorInput.from_dict({"AND": list(conditions)}))


def order(field: str, direction: str) -> SortOption:
    return sent(SortOption.from_dict({"field": field, "direction": direction}))
