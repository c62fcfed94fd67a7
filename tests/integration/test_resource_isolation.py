"""No body of a request and no count reaches a resource of another namespace."""

from tests.integration.clusters import cluster_body
from tests.integration.resources import Json, collection_body, error, made
from tests.integration.world import Side, World


def test_bodies_reach_nothing_of_theirs(ours: Side, theirs: Side) -> None:
    client, bucket = ours.client, ours.ids["bucket_identifier"]
    body = collection_body({"bucket_id": theirs.ids["bucket_identifier"]}, "spy")
    error(client.post("/v1/collections", json=body), 422, "ValidationError")
    batches = f"/v1/buckets/{bucket}/batches"
    foreign = {"object_ids": [theirs.ids["object_id"]]}
    error(client.post(batches, json=foreign), 422, "ValidationError")
    draft = f"{batches}/{ours.ids['batch_id']}"
    error(client.post(f"{draft}/objects", json=foreign), 422, "ValidationError")
    selected = {"filters": {"object_id": theirs.ids["object_id"]}}
    assert made(client.post(batches, json=selected))["object_count"] == 0
    reading = {
        "object_ids": [ours.ids["object_id"]],
        "collection_ids": [theirs.ids["collection_identifier"]],
    }
    error(client.post(batches, json=reading), 404, "NotFoundError")
    body = cluster_body(theirs.ids["collection_identifier"], "spy")
    error(client.post("/v1/clusters", json=body), 422, "ValidationError")
    for mine, other in ((theirs, ours), (ours, theirs)):
        crossing = {
            "migration_type": "extend",
            "source_namespace_id": mine.namespace_id,
            "target_namespace_id": other.namespace_id,
        }
        error(client.post("/v1/namespaces/migrations", json=crossing), 404, "NotFoundError")
        found = made(client.post("/v1/namespaces/migrations/validate", json=crossing))
        assert found["dependency_graph"]["nodes"] == []
    wanted = {"name": "spy", "permission": "read", "namespaces": [theirs.namespace_id]}
    refused = client.post("/v1/organizations/api-keys", json=wanted)
    assert refused.status_code in (403, 404, 422)
    assert refused.json()["error"]["type"] != "InternalServerError"
    refused = client.post("/v1/organizations/api-keys", json={"name": "spy", "permission": "read"})
    if refused.is_success:  # a key as narrow as the one that made it
        assert refused.json()["namespaces"] == [ours.namespace_id]


def test_taxonomies_reach_nothing_of_theirs(ours: Side, theirs: Side) -> None:
    client, foreign = ours.client, theirs.ids["collection_identifier"]
    body: Json = {"taxonomy_name": "spy", "source_collection": foreign}
    error(client.post("/v1/taxonomies", json=body), 422, "ValidationError")
    path = f"/v1/taxonomies/{ours.ids['taxonomy_identifier']}"
    error(client.post(f"{path}/materialize", json={"collection_id": foreign}), 404, "NotFoundError")
    copying = {
        "collection_id": ours.ids["collection_identifier"],
        "target_collection_id": foreign,
    }
    error(client.post(f"{path}/materialize", json=copying), 404, "NotFoundError")
    body = {"document_ids": [theirs.ids["document_id"]]}
    error(client.post(f"{path}/execute", json=body), 404, "NotFoundError")
    body = {"documents": [{"text": "x"}], "collection_id": foreign}
    error(client.post(f"{path}/execute", json=body), 404, "NotFoundError")
    applying = f"/v1/collections/{ours.ids['collection_identifier']}/apply-taxonomy"
    body = {"taxonomy_id": theirs.ids["taxonomy_identifier"]}
    error(client.post(applying, json=body), 404, "NotFoundError")


def test_documents_are_counted_apart(ours: Side, theirs: Side) -> None:
    base = f"/v1/collections/{ours.ids['collection_identifier']}/documents"
    for field in ("bucket_identifier", "object_id", "document_id", "task_id"):
        name = field.replace("identifier", "id")
        body: Json = {"filters": {name: theirs.ids[field]}}
        assert made(ours.client.post(f"{base}/count", json=body))["count"] == 0
        body["aggregations"] = [{"function": "count"}]
        assert made(ours.client.post(f"{base}/aggregate", json=body))["results"] == []
    failures = f"/v1/buckets/{ours.ids['bucket_identifier']}/batches/{ours.ids['batch_id']}"
    params = {"collection_id": theirs.ids["collection_identifier"]}
    found = made(ours.client.get(f"{failures}/failed-documents", params=params))
    assert found["results"] == []


def test_names_and_unique_keys_are_of_one_namespace(world: World) -> None:
    for side in (world.ours, world.theirs):
        bucket = {
            "bucket_name": "the same",
            "bucket_schema": {"properties": {"sku": {"type": "string"}}},
            "unique_key": "sku",
        }
        stored = made(side.client.post("/v1/buckets", json=bucket))
        url = f"/v1/buckets/{stored['bucket_id']}/objects"
        assert made(side.client.post(url, json={"sku": "1"}))
