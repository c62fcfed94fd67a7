"""Buckets and collections through the public client."""

from typing import Final

import pytest
from mixpeek import (
    BucketCreateRequest,
    BucketPatchRequest,
    BucketSchemaFieldType,
    BucketSchemaInput,
    CreateCollectionRequest,
    ListBucketsRequest,
    ListCollectionsRequest,
    TaskStatusEnum,
    UniqueKeyConfig,
)
from mixpeek.exceptions import NotFoundException

from tests.acceptance.public_client.vendor import Vendor, order, sent
from tests.acceptance.shop import Shop
from waybill import Client

PROPERTIES: Final[dict[str, object]] = {
    "body": {"type": "text", "required": True},
    "sku": {"type": "string", "required": True, "description": "The shop's own number"},
}


def schema(**more: object) -> BucketSchemaInput:
    return sent(BucketSchemaInput.from_dict({"properties": {**PROPERTIES, **more}}))


def wanted(name: str) -> BucketCreateRequest:
    return BucketCreateRequest(
        bucket_name=name,
        description="What the shop sells",
        bucket_schema=schema(),
        unique_key=UniqueKeyConfig(fields=["sku"]),
        metadata={"team": "web"},
    )


def test_a_bucket_from_its_beginning_to_its_end(vendor: Vendor, client: Client) -> None:
    made = vendor.buckets.create_bucket(wanted("goods"))
    assert made.bucket_id is not None
    assert made.bucket_id.startswith("bkt_")
    assert (made.bucket_name, made.description) == ("goods", "What the shop sells")
    assert (made.object_count, made.total_size_bytes) == (0, 0)
    assert made.status is TaskStatusEnum.ACTIVE
    assert made.unique_key is not None
    assert made.unique_key.fields == ["sku"]
    assert made.bucket_schema is not None
    assert made.bucket_schema.properties["body"].type is BucketSchemaFieldType.TEXT
    assert made.bucket_schema.properties["sku"].description == "The shop's own number"
    assert vendor.buckets.get_bucket("goods") == made

    grown = BucketPatchRequest(
        description="Goods", bucket_schema=schema(price={"type": "float", "required": False})
    )
    changed = vendor.buckets.patch_bucket(made.bucket_id, grown)
    assert changed.bucket_schema is not None
    assert changed.bucket_schema.properties["price"].type is BucketSchemaFieldType.FLOAT
    stored = client.buckets.get("goods")
    assert (stored["description"], stored["metadata"]) == ("Goods", {"team": "web"})
    assert set(stored["bucket_schema"]["properties"]) == {"body", "sku", "price"}

    vendor.buckets.delete_bucket(made.bucket_id)
    with pytest.raises(NotFoundException):
        vendor.buckets.get_bucket("goods")


def test_buckets_are_listed_by_filter_order_search_and_page(vendor: Vendor) -> None:
    for name in ("shoes", "shirts", "hats"):
        vendor.buckets.create_bucket(wanted(name))
    asked = ListBucketsRequest(
        search="s",
        filters={"AND": [{"field": "bucket_name", "operator": "starts_with", "value": "sh"}]},
        sort={"field": "bucket_name", "direction": "asc"},
    )
    page = vendor.buckets.list_buckets(limit=1, include_total=True, list_buckets_request=asked)
    assert [each.bucket_name for each in page.results] == ["shirts"]
    assert (page.total_count, page.pagination.total) == (2, 2)
    cursor = page.pagination.next_cursor
    rest = vendor.buckets.list_buckets(next_cursor=cursor, list_buckets_request=asked)
    assert [each.bucket_name for each in rest.results] == ["shoes"]
    found = vendor.buckets.list_buckets_get(search="hats")
    assert [each.bucket_name for each in found.results] == ["hats"]
    assert vendor.buckets.list_buckets().total_count == 3


def test_a_collection_from_its_beginning_to_its_end(vendor: Vendor, client: Client) -> None:
    bucket = vendor.buckets.create_bucket(wanted("goods"))
    body: dict[str, object] = {
        "collection_name": "texts",
        "description": "Texts of the goods",
        "source": {"type": "bucket", "bucket_ids": [bucket.bucket_id]},
        "feature_extractor": {
            "feature_extractor_name": "text",
            "version": "v1",
            "params": {"ngram_range": [1, 2]},
            "input_mappings": {"text": "body"},
        },
        "metadata": {"team": "web"},
    }
    made = vendor.collections.create_collection(sent(CreateCollectionRequest.from_dict(body)))
    assert made.collection_id is not None
    assert (made.collection_name, made.document_count) == ("texts", 0)
    assert made.source.bucket_ids == [bucket.bucket_id]
    extractor = made.feature_extractor
    assert (extractor.feature_extractor_name, extractor.feature_extractor_id) == ("text", "text_v1")
    assert extractor.params == {"ngram_range": [1, 2]}
    assert extractor.input_mappings is not None
    assert extractor.input_mappings.actual_instance == {"text": "body"}
    assert vendor.collections.get_collection("texts") == made

    change: dict[str, object] = {"description": "Texts", "metadata": {"team": "shop"}}
    changed = vendor.collections.update_collection(made.collection_id, change)
    assert (changed.description, changed.metadata) == ("Texts", {"team": "shop"})
    stored = client.collections.get("texts")
    assert stored["metadata"] == {"team": "shop"}
    assert stored["feature_extractor"]["parameters"] == {"ngram_range": [1, 2]}

    vendor.collections.delete_collection(made.collection_id)
    with pytest.raises(NotFoundException):
        vendor.collections.get_collection("texts")


def test_collections_are_listed(vendor: Vendor, shop: Shop) -> None:
    asked = ListCollectionsRequest(
        search="text",
        filters={"feature_extractor_name": "text"},
        sort=order("collection_name", "asc"),
    )
    page = vendor.collections.list_collections(
        limit=1, include_total=True, list_collections_request=asked
    )
    assert [each.collection_id for each in page.results] == [shop.collection_id]
    assert (page.total_count, page.pagination.total) == (1, 1)
    assert vendor.collections.list_collections_get(search="nothing").total_count == 0
