"""Objects over HTTP."""

import base64
from typing import Any

import httpx

from tests.integration.resources import (
    PIXELS,
    Json,
    error,
    made,
    make_bucket,
    make_object,
    places,
    thing,
)


def path_of(bucket: Json) -> str:
    return f"/v1/buckets/{bucket['bucket_id']}/objects"


def test_an_object_lives(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    image = {"property": "picture", "type": "image", "data": f"data:image/png;base64,{PIXELS}"}
    body = {
        "key_prefix": "/a/b",
        "blobs": [*thing("héllo")["blobs"], {**image, "metadata": {"width": 3}}],
        "metadata": {"source": "test"},
        "price": 3.5,
        "sku": "x-1",
    }
    created = made(client.post(path_of(bucket), json=body))
    assert created["object_id"].startswith("obj_")
    assert (created["price"], created["sku"]) == (3.5, "x-1")
    assert (created["key_prefix"], created["metadata"]) == ("/a/b", {"source": "test"})
    assert [blob["size_bytes"] for blob in created["blobs"]] == [6, 20]
    assert all("data" not in blob for blob in created["blobs"])
    path = f"{path_of(bucket)}/{created['object_id']}"
    found = made(client.get(path))
    assert [blob["data"] for blob in found["blobs"]] == ["héllo", PIXELS]
    assert found["blobs"][1]["metadata"] == {"width": 3}
    (listed,) = made(client.post(f"{path_of(bucket)}/list"))["results"]
    assert listed == created
    assert made(client.delete(path))["success"] is True
    error(client.get(path), 404, "NotFoundError")
    error(client.delete(path), 404, "NotFoundError")


def test_the_schema_is_kept(client: httpx.Client) -> None:
    bucket = make_bucket(client)

    def refused(body: object) -> Json:
        return error(client.post(path_of(bucket), json=body), 422, "ValidationError")

    assert places(refused({})) == [["body", "body"]]
    assert places(refused(thing(price="3"))) == [["body", "price"]]
    unknown = refused(thing(colour="red"))
    assert places(unknown) == [["body", "colour"]]
    assert "body, price, sku, picture" in unknown["message"]
    assert places(refused({**thing(), "blobs": 1})) == [["body", "blobs"]]
    blob = {"property": "body", "type": "text"}
    assert places(refused({"blobs": [blob]})) == [["body", "blobs", 0]]
    assert places(refused({"blobs": [{**blob, "data": "x", "nope": 1}]})) == [
        ["body", "blobs", 0, "nope"]
    ]
    assert places(refused({"blobs": [{**blob, "url": "file:///etc/passwd"}]})) == [
        ["body", "blobs", 0, "url"]
    ]
    assert places(refused({"blobs": [{**blob, "url": "http://127.0.0.1/"}]})) == [
        ["body", "blobs", 0, "url"]
    ]
    picture = {"property": "picture", "type": "image", "data": "no base64!"}
    assert places(refused({"blobs": [*thing()["blobs"], picture]})) == [
        ["body", "blobs", 1, "data"]
    ]
    assert made(client.get(path_of(bucket)))["results"] == []


def test_contents_are_bounded(client: httpx.Client) -> None:
    bucket = made(
        client.post("/v1/buckets", json={"bucket_name": "b", "bucket_schema": {"properties": {}}})
    )
    largest = "x" * (8 * 1024 * 1024)
    made(client.post(path_of(bucket), json=thing(largest)))
    found = error(client.post(path_of(bucket), json=thing(largest + "x")), 422, "ValidationError")
    assert places(found) == [["body", "blobs", 0, "data"]]
    two = [
        {"property": name, "type": "image", "data": base64.b64encode(largest.encode()).decode()}
        for name in "ab"
    ]
    found = error(client.post(path_of(bucket), json={"blobs": two}), 422, "ValidationError")
    assert places(found) == [["body", "blobs"]]
    over = "x" * (33 * 1024 * 1024)
    error(client.post(path_of(bucket), json=thing(over)), 413, "PayloadTooLargeError")


def test_a_batch_stores_what_is_in_order(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    objects: list[Any] = [thing(str(i), price=i) for i in range(1_000)]
    objects[3] = {"price": 3}
    objects[7] = {**objects[7], "price": "7"}
    response = client.post(f"{path_of(bucket)}/batch", json={"objects": objects})
    assert response.status_code == 201
    answer = response.json()
    counts = [answer[key] for key in ("total_requested", "succeeded_count", "failed_count")]
    assert counts == [1_000, 998, 2]
    assert [each["object_index"] for each in answer["succeeded"]] == [
        i for i in range(1_000) if i not in (3, 7)
    ]
    assert [each["index"] for each in answer["failed"]] == [3, 7]
    for failed, name in zip(answer["failed"], ("body", "price"), strict=True):
        assert isinstance(failed["error"], str)
        assert failed["error_type"] == "ValidationError"
        assert places(failed) == [["body", "objects", failed["index"], name]]
    listed = made(client.get(path_of(bucket), params={"limit": 1000, "include_total": True}))
    assert listed["pagination"]["total"] == 998
    ids = {each["object_id"] for each in answer["succeeded"]}
    assert {each["object_id"] for each in listed["results"]} == ids
    for size in (0, 1_001):
        body = {"objects": [thing()] * size}
        error(client.post(f"{path_of(bucket)}/batch", json=body), 422, "ValidationError")


def test_lists_look_into_fields_and_metadata(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    for i in range(5):
        make_object(client, bucket, price=i, sku=f"s{i}", metadata={"odd": bool(i % 2)})

    def found(filters: object) -> list[str]:
        answer = made(client.post(f"{path_of(bucket)}/list", json={"filters": filters}))
        return [each["sku"] for each in answer["results"]]

    assert found({"field": "price", "operator": "gt", "value": 2}) == ["s4", "s3"]
    assert found({"metadata.odd": True}) == ["s3", "s1"]
    assert found({"sku": ["s1", "s2"], "NOT": [{"metadata.odd": True}]}) == ["s2"]
    assert found({"field": "sku", "operator": "regex", "value": "^s[01]$"}) == ["s1", "s0"]
    assert found({"field": "blobs", "operator": "exists", "value": True}) == []
    for filters in ({"$where": "1"}, {"price": {"$gt": 1}}, {"a.$b": 1}):
        response = client.post(f"{path_of(bucket)}/list", json={"filters": filters})
        error(response, 422, "ValidationError")


def test_many_are_created_under_the_status_that_the_caller_reads(client: httpx.Client) -> None:
    path = f"/v1/buckets/{make_bucket(client)['bucket_id']}/objects/batch"
    plain = client.post(path, json={"objects": [thing()]})
    package = {"User-Agent": "OpenAPI-Generator/1.3.783/python"}
    public = client.post(path, json={"objects": [thing()]}, headers=package)
    assert (plain.status_code, public.status_code) == (201, 200)
    assert plain.headers["vary"] == public.headers["vary"] == "User-Agent"
    assert made(plain).keys() == made(public).keys()
