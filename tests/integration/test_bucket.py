"""Buckets over HTTP."""

from typing import Any

import httpx

from tests.integration.resources import SCHEMA, error, made, make_bucket, make_object, places, thing


def test_a_bucket_lives(client: httpx.Client) -> None:
    created = make_bucket(client, metadata={"a": 1}, description="d", unique_key="sku")
    assert created["bucket_id"].startswith("bkt_")
    assert created["bucket_schema"]["properties"]["body"] == {"type": "text", "required": True}
    assert created["unique_key"] == "sku"
    assert (created["object_count"], created["total_size_bytes"]) == (0, 0)
    for identifier in (created["bucket_id"], "goods"):
        assert made(client.get(f"/v1/buckets/{identifier}")) == created
    make_object(client, created, sku="1")
    (listed,) = made(client.post("/v1/buckets/list"))["results"]
    assert (listed["object_count"], listed["total_size_bytes"]) == (1, len("hello"))
    made(client.delete("/v1/buckets/goods"))
    error(client.get("/v1/buckets/goods"), 404, "NotFoundError")


def test_what_is_wrong_is_named(client: httpx.Client) -> None:
    def refused(**changes: Any) -> list[list[str | int]]:
        body = {"bucket_name": "b", "bucket_schema": SCHEMA, **changes}
        return places(error(client.post("/v1/buckets", json=body), 422, "ValidationError"))

    schema = ["body", "bucket_schema"]
    assert refused(bucket_name="bkt_1") == [["body", "bucket_name"]]
    assert refused(bucket_schema={}) == [schema]
    assert refused(bucket_schema={"properties": {"a": {"type": "blob"}}}) == [
        [*schema, "properties", "a", "type"]
    ]
    assert refused(unique_key="nope") == [["body", "unique_key"]]
    assert refused(unique_key="picture") == [["body", "unique_key"]]
    assert refused(unique_key={"fields": ["sku", "nope"]}) == [["body", "unique_key"]]
    assert refused(extra=1) == [["body", "extra"]]
    error(client.post("/v1/buckets", json={"bucket_name": "b"}), 422, "ValidationError")


def test_names_are_unique_in_their_namespace(client: httpx.Client) -> None:
    make_bucket(client)
    body = {"bucket_name": "goods", "bucket_schema": SCHEMA}
    error(client.post("/v1/buckets", json=body), 409, "AlreadyExistsError")
    made(client.post("/v1/namespaces", json={"namespace_name": "other"}))
    made(client.post("/v1/buckets", json=body, headers={"X-Namespace": "other"}))


def test_a_schema_only_grows(client: httpx.Client) -> None:
    make_bucket(client)

    def patched(properties: dict[str, object]) -> httpx.Response:
        return client.patch("/v1/buckets/goods", json={"bucket_schema": {"properties": properties}})

    before: dict[str, object] = dict(SCHEMA["properties"])
    grown = made(patched({**before, "colour": {"type": "string"}}))
    assert grown["bucket_schema"]["properties"]["colour"]["type"] == "string"
    place = ["body", "bucket_schema", "properties"]
    for properties, wrong in (
        (before, ["colour"]),
        ({**before, "colour": {"type": "integer"}}, ["colour", "type"]),
        ({**before, "colour": {"type": "string", "required": True}}, ["colour", "required"]),
    ):
        found = error(patched(properties), 422, "ValidationError")
        assert places(found) == [[*place, *wrong]]
    make_object(client, grown, colour="red")


def test_a_unique_key_holds(client: httpx.Client) -> None:
    bucket = make_bucket(client, unique_key={"fields": ["sku", "price"]})
    path = f"/v1/buckets/{bucket['bucket_id']}/objects"
    made(client.post(path, json=thing(sku="a", price=1)))
    error(client.post(path, json=thing(sku="a", price=1.0)), 409, "AlreadyExistsError")
    made(client.post(path, json=thing(sku="a", price=2)))
    found = error(client.post(path, json=thing(sku="a")), 422, "ValidationError")
    assert places(found) == [["body", "price"]]
    many = [thing(sku="a", price=1), thing(sku="b", price=1), thing(sku="b", price=1)]
    answer = made(client.post(f"{path}/batch", json={"objects": many}))
    assert [each["object_index"] for each in answer["succeeded"]] == [1]
    assert [each["index"] for each in answer["failed"]] == [0, 2]
    assert {each["error_type"] for each in answer["failed"]} == {"AlreadyExistsError"}
    assert made(client.get(path, params={"include_total": 1}))["pagination"]["total"] == 3
