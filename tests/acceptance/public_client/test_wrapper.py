"""The package's hand-written client, `Mixpeek`, does every call of the contract that it has."""

from typing import Any

import pytest
from mixpeek import Mixpeek
from mixpeek._client.client import MixpeekAPIError

from tests.acceptance.shop import SCHEMA, Shop
from tests.acceptance.test_jobs import reached, submit
from tests.stack import Stack
from waybill import Client

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def mixpeek(stack: Stack, namespace: str) -> Mixpeek:
    return Mixpeek(stack.api_key, namespace=namespace, base_url=f"{stack.api_url}/v1")


def test_resources_are_made_read_and_deleted(
    mixpeek: Mixpeek, namespace: str, client: Client
) -> None:
    spare = mixpeek.namespaces.create(name=f"{namespace}-b")
    assert mixpeek.namespaces.get(spare["namespace_id"]) == spare
    listed: Any = mixpeek.namespaces.list()  # annotated as a list, which it never is
    assert spare["namespace_id"] in [each["namespace_id"] for each in listed["results"]]
    assert mixpeek.namespaces.delete(spare["namespace_id"])["success"] is True

    bucket = mixpeek.buckets.create(name="goods", bucket_schema=SCHEMA)
    assert mixpeek.buckets.get("goods") == bucket
    made = mixpeek.buckets.upload("goods", data="Blue shoe", metadata={"season": 1})
    objects = mixpeek.buckets.list_objects("goods", page_size=5)["results"]
    assert [each["object_id"] for each in objects] == [made["object_id"]]
    (blob,) = client.objects.get("goods", made["object_id"])["blobs"]
    assert (blob["property"], blob["data"]) == ("body", "Blue shoe")

    collection = mixpeek.collections.create(
        name="texts",
        source={"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        feature_extractor={"feature_extractor_name": "text", "input_mappings": {"text": "body"}},
    )
    assert mixpeek.collections.get("texts") == collection
    changed = mixpeek.collections.update("texts", description="Texts")
    assert changed["description"] == client.collections.get("texts")["description"] == "Texts"
    assert mixpeek.collections.delete("texts")["success"] is True
    removed = mixpeek.buckets.delete("goods")
    assert removed["success"] is True
    with pytest.raises(MixpeekAPIError) as caught:
        mixpeek.buckets.get("goods")
    assert caught.value.status == 404
    receipt = client.tasks.wait(removed["task_id"], timeout_s=60)
    assert (receipt["task_type"], receipt["outputs"]) == ("api_buckets_delete", [{"objects": 1}])


def test_what_a_batch_makes_is_read(mixpeek: Mixpeek, shop: Shop) -> None:
    mixpeek.buckets.upload(shop.bucket_id, data="Blue shoe", price=3.5)
    mixpeek.buckets.upload(shop.bucket_id, data=" ")
    ids = [each["object_id"] for each in shop.client.objects.list(shop.bucket_id)]
    batch, task = shop.process(ids)
    assert mixpeek.tasks.get(task["task_id"]).outputs[0].failed == 1  # type: ignore[attr-defined]
    completed = mixpeek.tasks.list(status="COMPLETED", include_total=True)
    assert completed["pagination"]["total"] == 1
    read = mixpeek.batches.get(shop.bucket_id, batch["batch_id"])
    assert (read["status"], read["failed_object_count"]) == ("COMPLETED", 1)
    failed = mixpeek.batches.failed_documents(shop.bucket_id, batch["batch_id"], limit=5)
    assert failed["total"] == 1
    (document,) = mixpeek.documents.list(
        shop.collection_id, page_size=5, filters={"fields.price": 3.5}
    )["results"]
    assert mixpeek.documents.get(shop.collection_id, document["document_id"]) == document


def test_a_task_is_killed(mixpeek: Mixpeek, client: Client) -> None:
    task = submit(client, "test_slow", 600)
    assert mixpeek.tasks.delete(task["task_id"])["success"] is True
    reached(client, task, "CANCELED")
