"""Nothing of one namespace is seen or changed from another, on any route."""

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pymongo.database import Database

from app.api import bucket, collection, document, stored_object
from app.database import Document
from tests.integration.resources import (
    ClientMaker,
    Json,
    collection_body,
    error,
    made,
    make_bucket,
    make_collection,
    make_object,
    thing,
)

ROUTERS = (bucket.router, stored_object.router, collection.router, document.router)

# What each route that takes a body needs to get past its checks.
BODIES: dict[tuple[str, str], Json] = {
    ("PATCH", "/v1/buckets/{}"): {"description": "x"},
    ("POST", "/v1/buckets/{}/objects"): thing(),
    ("POST", "/v1/buckets/{}/objects/batch"): {"objects": [thing()]},
    ("PATCH", "/v1/collections/{}"): {"description": "x"},
    ("POST", "/v1/collections/{}/documents/aggregate"): {"aggregations": [{"function": "count"}]},
}


def routes(router: APIRouter) -> Iterator[tuple[str, str]]:
    for route in router.routes:
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            yield method, route.path


@pytest.fixture
def theirs(client_for: ClientMaker, database: Database[Document]) -> dict[str, str]:
    """Ids of another namespace's things, by the name of the path parameter."""
    made(client_for().post("/v1/namespaces", json={"namespace_name": "theirs"}))
    client = client_for(namespace="theirs")
    bucket_ = make_bucket(client)
    object_ = make_object(client, bucket_)
    collection_ = make_collection(client, bucket_)
    scope = {"namespace_id": bucket_["namespace_id"], "collection_id": collection_["collection_id"]}
    database["documents"].insert_one({"_id": "doc_1", **scope})
    return {
        "bucket_identifier": bucket_["bucket_id"],
        "object_id": object_["object_id"],
        "collection_identifier": collection_["collection_id"],
        "document_id": "doc_1",
    }


def test_every_route_answers_404(client: httpx.Client, theirs: dict[str, str]) -> None:
    with_ids = [each for router in ROUTERS for each in routes(router) if "{" in each[1]]
    assert len(with_ids) >= 18
    for by_name in (False, True):
        ids = {**theirs}
        if by_name:
            ids |= {"bucket_identifier": "goods", "collection_identifier": "texts"}
        for method, path in with_ids:
            body = BODIES.get((method, re.sub(r"\{\w+\}", "{}", path)))
            response = client.request(method, path.format(**ids), json=body)
            found = error(response, 404, "NotFoundError")
            assert found["message"] != "No such path"


def test_own_parents_do_not_open_their_children(
    client: httpx.Client, theirs: dict[str, str]
) -> None:
    bucket_ = make_bucket(client)
    collection_ = make_collection(client, bucket_)
    for path in (
        f"/v1/buckets/{bucket_['bucket_id']}/objects/{theirs['object_id']}",
        f"/v1/collections/{collection_['collection_id']}/documents/{theirs['document_id']}",
    ):
        error(client.get(path), 404, "NotFoundError")
    error(client.delete(f"/v1/buckets/goods/objects/{theirs['object_id']}"), 404, "NotFoundError")


def test_lists_show_only_what_is_ours(client: httpx.Client, theirs: dict[str, str]) -> None:
    for path in ("/v1/buckets", "/v1/collections"):
        for response in (client.get(path), client.post(f"{path}/list", json={"filters": {}})):
            assert made(response)["results"] == []
            assert made(response)["total_count"] == 0
    everything = {"OR": [{"field": "bucket_id", "operator": "ne", "value": "x"}]}
    listed = client.post("/v1/buckets/list", json={"filters": everything})
    assert made(listed)["results"] == []
    foreign = {"bucket_id": theirs["bucket_identifier"]}
    body = collection_body(foreign)
    error(client.post("/v1/collections", json=body), 422, "ValidationError")


def test_every_route_needs_a_key(api: FastAPI, api_url: str) -> None:
    open_paths = {"/v1/health", "/v1/health/beat", "/metrics"}
    for path, methods in api.openapi()["paths"].items():
        for method in methods:
            if path not in open_paths:
                url = api_url + re.sub(r"\{\w+\}", "x", path)
                error(httpx.request(method.upper(), url), 401, "UnauthorizedError")
