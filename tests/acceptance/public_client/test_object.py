"""Objects of a bucket through the public client."""

import pytest
from mixpeek import (
    BucketSchemaFieldType,
    CreateObjectRequest,
    CreateObjectsBatchRequest,
    ListObjectsRequest,
)
from mixpeek.exceptions import NotFoundException

from tests.acceptance.public_client.vendor import Vendor, filters, order, sent
from tests.acceptance.shop import Shop, text_object


def wanted(text: str, **fields: object) -> CreateObjectRequest:
    return sent(CreateObjectRequest.from_dict(text_object(text, **fields)))


def test_an_object_from_its_beginning_to_its_end(vendor: Vendor, shop: Shop) -> None:
    new = wanted("Blue shoe", price=3.5, key_prefix="/spring", metadata={"season": 1})
    made = vendor.objects.create_object_buckets(shop.bucket_id, new)
    assert made.object_id is not None
    assert (made.bucket_id, made.key_prefix) == (shop.bucket_id, "/spring")
    assert made.additional_properties["price"] == 3.5
    assert made.additional_properties["metadata"] == {"season": 1}
    assert made.blobs is not None
    (blob,) = made.blobs
    assert (blob.var_property, blob.type) == ("body", BucketSchemaFieldType.TEXT)
    read = vendor.objects.get_object_buckets(shop.bucket_id, made.object_id)
    assert read == made
    (stored,) = shop.client.objects.get(shop.bucket_id, made.object_id)["blobs"]
    assert (stored["blob_id"], stored["data"]) == (blob.blob_id, "Blue shoe")

    vendor.objects.delete_object_buckets(shop.bucket_id, made.object_id)
    with pytest.raises(NotFoundException):
        vendor.objects.get_object_buckets(shop.bucket_id, made.object_id)


def test_a_batch_of_objects_succeeds_in_part(vendor: Vendor, shop: Shop) -> None:
    objects = [wanted("one", price=1.5), wanted("two", price="cheap"), wanted("three", price=3.5)]
    answer = vendor.objects.create_objects_batch_buckets(
        shop.bucket_id, CreateObjectsBatchRequest(objects=objects)
    )
    counts = (answer.total_requested, answer.succeeded_count, answer.failed_count)
    assert counts == (3, 2, 1)
    assert [each.object_index for each in answer.succeeded] == [0, 2]
    (failed,) = answer.failed
    assert (failed.object_index, failed.error_type) == (1, "ValidationError")
    assert "'price' must be a number" in failed.error
    kept = {each.object_id: each.additional_properties["price"] for each in answer.succeeded}
    listed = [dict(each) for each in shop.client.objects.list(shop.bucket_id)]
    assert {each["object_id"]: each["price"] for each in listed} == kept


def test_objects_are_listed_by_filter_order_and_page(vendor: Vendor, shop: Shop) -> None:
    by_price = shop.add(text_object(f"number {n}", price=n + 0.5) for n in range(5))
    dear, newest_first = sorted(by_price[1:]), sorted(by_price, reverse=True)
    asked = ListObjectsRequest(
        filters=filters({"field": "price", "operator": "gte", "value": 1.5}),
        sort=order("object_id", "asc"),
    )
    page = vendor.objects.list_objects_buckets(
        shop.bucket_id, limit=3, include_total=True, list_objects_request=asked
    )
    assert [each.object_id for each in page.results] == dear[:3]
    assert page.pagination.total == 4
    rest = vendor.objects.list_objects_buckets(
        shop.bucket_id, limit=3, after=page.pagination.next_cursor, list_objects_request=asked
    )
    assert [each.object_id for each in rest.results] == dear[3:]
    newest = vendor.objects.list_objects_get_buckets(shop.bucket_id, page_size=2, offset=1)
    assert [each.object_id for each in newest.results] == newest_first[1:3]
