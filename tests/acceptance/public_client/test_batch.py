"""Batches through the public client: from the draft to the retry, and the cancellation."""

import pytest
from mixpeek import (
    AddObjectsToBatchRequest,
    BatchMetadata,
    CreateBatchRequest,
    FailureCategory,
    ListBatchesRequest,
    RetryBatchRequest,
    SubmitBatchRequest,
    TaskStatusEnum,
)
from mixpeek.exceptions import ConflictException

from tests.acceptance.public_client.test_task import OWN_TYPE, ended
from tests.acceptance.public_client.vendor import Vendor, filters
from tests.acceptance.shop import Shop, text_object
from tests.acceptance.test_jobs import reached, submit
from waybill import Client

pytestmark = pytest.mark.timeout(240)


def listed(vendor: Vendor, shop: Shop, **asked: object) -> list[str | None]:
    """The ids of the bucket's batches that the request selects."""
    body = ListBatchesRequest.from_dict(asked)
    page = vendor.bucket_batches.list_batches_buckets(shop.bucket_id, body)
    assert page.total_count == len(page.results)
    return [batch.batch_id for batch in page.results]


def test_a_draft_takes_objects_and_is_found(vendor: Vendor, shop: Shop) -> None:
    ids = shop.add(text_object(f"number {n}", price=n + 0.5) for n in range(4))
    wanted = CreateBatchRequest(
        object_ids=ids[:2],
        collection_ids=[shop.collection_id],
        batch_name="spring",
        metadata=BatchMetadata(campaign_id="c7", tags=["new"]),
    )
    made = vendor.bucket_batches.create_batch_buckets_batches(shop.bucket_id, wanted)
    assert made.batch_id is not None
    assert (made.batch_name, made.collection_ids) == ("spring", [shop.collection_id])
    assert (made.status, made.lifecycle) == (TaskStatusEnum.DRAFT, "accepted")
    assert made.metadata is not None
    assert (made.metadata.campaign_id, made.metadata.tags) == ("c7", ["new"])
    assert made.progress is not None
    assert (made.progress.processed, made.progress.total) == (0, 2)

    more = AddObjectsToBatchRequest(object_ids=ids[1:3])
    grown = vendor.bucket_batches.add_objects_to_batch_buckets_batches(
        shop.bucket_id, made.batch_id, more
    )
    assert grown.progress is not None
    assert grown.progress.total == 3
    read = vendor.bucket_batches.get_batch_buckets_batches(shop.bucket_id, made.batch_id)
    assert read == grown
    assert vendor.batches.get_batch_by_id_batches(made.batch_id) == grown

    cheap = filters({"field": "price", "operator": "lt", "value": 1})
    other = vendor.bucket_batches.create_batch_buckets_batches(
        shop.bucket_id, CreateBatchRequest(filters=cheap)
    )
    assert other.progress is not None
    assert other.progress.total == 1
    assert listed(vendor, shop) == [other.batch_id, made.batch_id]
    assert listed(vendor, shop, collection_id=shop.collection_id) == [made.batch_id]
    assert listed(vendor, shop, status="DRAFT", limit=5) == [other.batch_id, made.batch_id]
    assert listed(vendor, shop, status="COMPLETED") == []


def test_a_batch_is_submitted_and_retried(vendor: Vendor, shop: Shop) -> None:
    good, bad = shop.add([text_object("good"), text_object(" ")])
    batch_id = shop.batch([good, bad])["batch_id"]
    untouched = shop.batch([good])["batch_id"]
    task = vendor.bucket_batches.submit_batch_buckets_batches(
        shop.bucket_id, batch_id, submit_batch_request=SubmitBatchRequest()
    )
    again = vendor.bucket_batches.submit_batch_buckets_batches(shop.bucket_id, batch_id)
    assert again.task_id == task.task_id
    assert ended(vendor, task.task_id).status is TaskStatusEnum.COMPLETED

    batch = vendor.bucket_batches.get_batch_buckets_batches(shop.bucket_id, batch_id)
    assert (batch.status, batch.lifecycle) == (TaskStatusEnum.COMPLETED, "indexed")
    assert batch.task_id == task.task_id
    assert batch.progress is not None
    assert (batch.progress.processed, batch.progress.errors) == (2, 1)
    assert batch.failed_object_count == 1
    assert batch.failed_objects is not None
    (record,) = batch.failed_objects
    assert (record.object_id, record.error_type) == (bad, "permanent")
    failures = vendor.bucket_batches.get_failed_documents_buckets_batches_batch(
        shop.bucket_id, batch_id, collection_id=shop.collection_id, limit=5, offset=0
    )
    assert failures["total"] == 1
    assert listed(vendor, shop, status="COMPLETED") == [batch_id]
    assert listed(vendor, shop, status="DRAFT") == [untouched]

    retried = vendor.bucket_batches.retry_batch_buckets_batches(
        shop.bucket_id, batch_id, RetryBatchRequest()
    )
    following = ended(vendor, str(retried["task_id"]))
    assert following.task_id != task.task_id
    assert following.additional_data is not None
    assert following.additional_data["retry_of"] == task.task_id
    everything = RetryBatchRequest(retry_mode="all")
    third = vendor.bucket_batches.retry_batch_buckets_batches(shop.bucket_id, batch_id, everything)
    assert ended(vendor, str(third["task_id"])).status is TaskStatusEnum.COMPLETED


def test_a_list_by_status_goes_on_while_batches_end(vendor: Vendor, shop: Shop) -> None:
    ids = shop.add([text_object("one")])
    batches = [shop.process(ids)[0]["batch_id"] for _ in range(2)]
    completed = {"status": "COMPLETED", "limit": 1}
    page = vendor.bucket_batches.list_batches_buckets(
        shop.bucket_id, ListBatchesRequest.from_dict(completed)
    )
    assert ([batch.batch_id for batch in page.results], page.total_count) == (batches[1:], 2)
    shop.process(ids)
    cursor = (page.pagination or {})["next_cursor"]
    rest = vendor.bucket_batches.list_batches_buckets(
        shop.bucket_id, ListBatchesRequest.from_dict({**completed, "cursor": cursor})
    )
    assert ([batch.batch_id for batch in rest.results], rest.total_count) == (batches[:1], 3)


def test_a_batch_that_fails_says_why(vendor: Vendor, shop: Shop) -> None:
    batch_id = shop.batch(shop.add([text_object(" ")]))["batch_id"]
    task = vendor.bucket_batches.submit_batch_buckets_batches(shop.bucket_id, batch_id)
    failed = ended(vendor, task.task_id)
    assert failed.status is TaskStatusEnum.FAILED
    batch = vendor.batches.get_batch_by_id_batches(batch_id)
    assert batch.failure_category is FailureCategory.PIPELINE
    assert batch.failure_reason == batch.lifecycle_reason == failed.error
    assert "became a document" in str(failed.error)
    assert listed(vendor, shop, status="FAILED") == [batch_id]


def test_a_waiting_batch_is_canceled(
    vendor: Vendor, namespace: str, client: Client, shop: Shop
) -> None:
    client.request("PATCH", f"/v1/namespaces/{namespace}", {"quotas": {"max_running": 1}})
    blocker = submit(client, OWN_TYPE.value, "600")
    reached(client, blocker, "PROCESSING")
    batch_id = shop.batch(shop.add([text_object("one")]))["batch_id"]
    task = vendor.bucket_batches.submit_batch_buckets_batches(shop.bucket_id, batch_id)
    waiting = vendor.bucket_batches.get_batch_buckets_batches(shop.bucket_id, batch_id)
    assert (waiting.status, waiting.lifecycle) == (TaskStatusEnum.PENDING, "queued")
    assert "room" in str(waiting.lifecycle_reason)
    with pytest.raises(ConflictException, match="only one that ended is retried"):
        vendor.bucket_batches.retry_batch_buckets_batches(
            shop.bucket_id, batch_id, RetryBatchRequest()
        )

    answer = vendor.bucket_batches.cancel_batch_buckets_batches(
        shop.bucket_id, batch_id, reason="the wrong bucket"
    )
    assert (answer.task_id, answer.status) == (task.task_id, TaskStatusEnum.CANCELED)
    canceled = vendor.bucket_batches.get_batch_buckets_batches(shop.bucket_id, batch_id)
    assert (canceled.status, canceled.lifecycle) == (TaskStatusEnum.CANCELED, "canceled")
    assert canceled.lifecycle_reason == "the wrong bucket"
    cancellation = client.tasks.get(task.task_id)["cancellation"]
    assert cancellation is not None
    assert cancellation["reason"] == "the wrong bucket"
    assert listed(vendor, shop, status="CANCELED") == [batch_id]
    vendor.tasks.kill_task(blocker["task_id"])
