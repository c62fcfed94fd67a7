"""Collections over HTTP."""

from typing import Any

import httpx
import pytest

from app.errors import NotFoundError
from app.stores import Stores
from tests.integration.resources import (
    collection_body,
    error,
    made,
    make_bucket,
    make_collection,
    places,
)


def test_a_collection_lives(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    created = make_collection(client, bucket, metadata={"a": 1})
    assert created["collection_id"].startswith("col_")
    assert created["source"] == {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
    assert created["feature_extractor"]["feature_extractor_name"] == "text"
    assert (created["document_count"], created["schema_version"]) == (0, 1)
    assert created["last_schema_sync"] is None
    for identifier in (created["collection_id"], "texts"):
        assert made(client.get(f"/v1/collections/{identifier}")) == created
    changed = made(client.patch("/v1/collections/texts", json={"description": "new"}))
    assert (changed["description"], changed["metadata"]) == ("new", {"a": 1})
    body = {"filters": {"bucket_ids": bucket["bucket_id"]}}
    (listed,) = made(client.post("/v1/collections/list", json=body))["results"]
    assert listed == changed
    made(client.delete("/v1/collections/texts"))
    error(client.get("/v1/collections/texts"), 404, "NotFoundError")


def test_what_is_wrong_is_named(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    extractor = ["body", "feature_extractor"]

    def refused(**changes: Any) -> list[list[str | int]]:
        body = collection_body(bucket, **changes)
        return places(error(client.post("/v1/collections", json=body), 422, "ValidationError"))

    def with_extractor(**changes: Any) -> list[list[str | int]]:
        given = collection_body(bucket)["feature_extractor"]
        return refused(feature_extractor={**given, **changes})

    assert refused(name="col_1") == [["body", "collection_name"]]
    assert refused(source={"type": "bucket", "bucket_ids": ["bkt_x"]}) == [
        ["body", "source", "bucket_ids", 0]
    ]
    assert refused(source={"type": "collection", "bucket_ids": ["b"]}) == [
        ["body", "source", "type"]
    ]
    assert with_extractor(feature_extractor_name="nope") == [[*extractor, "feature_extractor_name"]]
    assert with_extractor(parameters={"nope": 1}) == [[*extractor, "parameters", "nope"]]
    assert with_extractor(input_mappings={"image": "body"}) == [
        [*extractor, "input_mappings", "image"]
    ]
    assert with_extractor(input_mappings={"text": "colour"}) == [
        [*extractor, "input_mappings", "text"]
    ]
    assert with_extractor(input_mappings={}) == [[*extractor, "input_mappings", "text"]]
    assert with_extractor(version="v2") == [[*extractor, "version"]]
    taken = make_collection(client, bucket)
    response = client.post("/v1/collections", json=collection_body(bucket))
    error(response, 409, "AlreadyExistsError")
    make_collection(client, bucket, taken["collection_name"] + "2")


def test_workers_find_what_reads_a_bucket(client: httpx.Client, stores: Stores) -> None:
    first, second = make_bucket(client, "a"), make_bucket(client, "b")
    one, two = make_collection(client, first, "one"), make_collection(client, first, "two")
    other = make_collection(client, second, "other")
    namespace_id, bucket_id = first["namespace_id"], first["bucket_id"]

    def reading(ids: list[str] | None) -> list[str]:
        found = stores.collections.reading(bucket_id, namespace_id=namespace_id, collection_ids=ids)
        return [collection.collection_id for collection in found]

    assert reading(None) == [one["collection_id"], two["collection_id"]]
    assert reading([two["collection_id"]]) == [two["collection_id"]]
    with pytest.raises(NotFoundError, match=other["collection_id"]):
        reading([two["collection_id"], other["collection_id"]])
