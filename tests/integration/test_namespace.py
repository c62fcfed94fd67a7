"""Namespaces over HTTP."""

from typing import Any

import httpx

from app.stores import Stores
from tests.integration.resources import (
    Json,
    error,
    made,
    make_bucket,
    make_collection,
    make_object,
    places,
)


def test_a_namespace_lives(client: httpx.Client) -> None:
    body = {"namespace_name": "shop", "description": "d", "metadata": {"team": {"a": [1]}}}
    created = made(client.post("/v1/namespaces", json=body))
    assert created["namespace_id"].startswith("ns_")
    assert created["status"] == "ACTIVE"
    assert created["created_at"].endswith("Z")
    assert len(created["created_at"]) == len("2026-01-01T00:00:00.000Z")
    for identifier in (created["namespace_id"], "shop"):
        assert made(client.get(f"/v1/namespaces/{identifier}")) == created
    changed = made(client.patch("/v1/namespaces/shop", json={"description": None}))
    assert changed["description"] is None
    assert changed["metadata"] == body["metadata"]
    assert changed["updated_at"] > created["updated_at"]
    assert made(client.delete("/v1/namespaces/shop"))["success"] is True
    error(client.get("/v1/namespaces/shop"), 404, "NotFoundError")
    made(client.post("/v1/namespaces", json=body))


def test_names_are_unique_and_plain(client: httpx.Client) -> None:
    made(client.post("/v1/namespaces", json={"namespace_name": "shop"}))
    taken = client.post("/v1/namespaces", json={"namespace_name": "shop"})
    error(taken, 409, "AlreadyExistsError")
    for name in ("", " x", "x ", "a/b", "a\nb", "a\0", "x" * 129, 1, None, "list", "ns_1"):
        response = client.post("/v1/namespaces", json={"namespace_name": name})
        assert places(error(response, 422, "ValidationError")) == [["body", "namespace_name"]]
    for name in ("x", "My Shop", "büro.1"):
        made(client.post("/v1/namespaces", json={"namespace_name": name}))


def test_unknown_keys_are_refused_by_name(client: httpx.Client) -> None:
    body = {"namespace_name": "shop", "descripton": "typo"}
    found = error(client.post("/v1/namespaces", json=body), 422, "ValidationError")
    assert places(found) == [["body", "descripton"]]
    assert "descripton" in found["message"]
    found = error(client.patch("/v1/namespaces/default", json={"x": 1}), 422, "ValidationError")
    assert places(found) == [["body", "x"]]


def test_metadata_must_be_storable(client: httpx.Client) -> None:
    head = {"content-type": "application/json"}
    for value in ('"\\ud800"', "1" * 30, "1e999", '{"a\\u0000": 1}', "[" * 70 + "]" * 70):
        content = f'{{"namespace_name": "x", "metadata": {{"a": {value}}}}}'
        response = client.post("/v1/namespaces", content=content, headers=head)
        assert places(error(response, 422, "ValidationError")) == [["body", "metadata"]]


def test_the_list_is_filtered_sorted_and_paged(client: httpx.Client) -> None:
    for i in range(4):
        body = {"namespace_name": f"n{i}", "metadata": {"rank": i}}
        made(client.post("/v1/namespaces", json=body))

    def names(body: Json, **params: Any) -> list[str]:
        answer = made(client.post("/v1/namespaces/list", json=body, params=params))
        return [each["namespace_name"] for each in answer["results"]]

    assert names({}) == ["n3", "n2", "n1", "n0", "default"]
    by_name: Json = {"sort": {"field": "namespace_name", "direction": "asc"}}
    assert names(by_name, limit=2) == ["default", "n0"]
    assert names(by_name, page_size=2, page=3) == ["n3"]
    assert names(by_name, limit=2, offset=1) == ["n0", "n1"]
    ranks = {"AND": [{"field": "metadata.rank", "operator": "gte", "value": 2}]}
    assert names({"filters": ranks}) == ["n3", "n2"]
    assert names({"search": "N1"}) == ["n1"]
    assert names({"search": "N1", "case_sensitive": True}) == []
    first = made(client.get("/v1/namespaces", params={"limit": 4, "include_total": True}))
    assert first["total_count"] == 5
    pagination = first["pagination"]
    assert (pagination["total"], pagination["total_pages"]) == (5, 2)
    assert pagination["previous_page"] is None
    last = made(client.get(pagination["next_page"]))
    assert [each["namespace_name"] for each in last["results"]] == ["default"]
    assert last["pagination"]["next_cursor"] is None
    assert last["pagination"]["previous_page"] is not None
    params = {"limit": 4, "cursor": pagination["next_cursor"]}
    assert made(client.get("/v1/namespaces", params=params))["results"] == last["results"]


def test_a_list_says_one_thing(client: httpx.Client) -> None:
    cursor = made(client.get("/v1/namespaces"))["pagination"]["next_cursor"]
    assert cursor is None
    refused: list[tuple[Json, Json]] = [
        ({"limit": 1, "page_size": 2}, {}),
        ({"limit": 0}, {}),
        ({"limit": 1001}, {}),
        ({"limit": "x"}, {}),
        ({"page": 2, "offset": 3}, {}),
        ({"page": 2, "cursor": "x"}, {}),
        ({"cursor": "x", "after": "y"}, {}),
        ({"offset": 10_001}, {}),
        ({"page": 500, "limit": 100}, {}),
        ({"nope": 1}, {}),
        ({}, {"nope": 1}),
        ({}, {"filters": []}),
        ({}, {"filters": {"$where": "1"}}),
        ({}, {"sort": {"field": "metadata.x"}}),
        ({}, {"sort": {"field": "created_at", "direction": "up"}}),
        ({}, {"limit": 1, "page_size": 2}),
    ]
    for params, body in refused:
        response = client.post("/v1/namespaces/list", json=body, params=params)
        error(response, 422, "ValidationError")
    same = {"limit": 3, "page_size": 3, "page": 1, "offset": 0}
    made(client.post("/v1/namespaces/list", params=same))
    made(client.post("/v1/namespaces/list", json={"page_size": 3, "cursor": None}))


def test_a_namespace_goes_with_all_that_is_in_it_once_nothing_runs(
    client: httpx.Client, stores: Stores
) -> None:
    error(client.delete("/v1/namespaces/default"), 409, "AlreadyExistsError")
    default = stores.namespaces.ensure_default()
    made(client.post("/v1/namespaces", json={"namespace_name": "shop"}))
    client.headers["X-Namespace"] = "shop"
    bucket = make_bucket(client)
    removed = made(client.delete(f"/v1/buckets/{bucket['bucket_id']}"))
    error(client.get("/v1/buckets/goods"), 404, "NotFoundError")
    found = error(client.delete("/v1/namespaces/shop"), 409, "AlreadyExistsError")
    assert removed["task_id"] in found["message"]
    made(client.post(f"/v1/tasks/{removed['task_id']}/kill"))
    make_bucket(client)
    task = made(client.delete("/v1/namespaces/shop"))["task"]
    assert (task["task_type"], task["namespace_id"]) == (
        "api_namespaces_delete",
        default.namespace_id,
    )
    error(client.post("/v1/buckets/list"), 404, "NotFoundError")
    del client.headers["X-Namespace"]
    path = f"/v1/namespaces/{task['inputs'][0]}"
    assert made(client.delete(path))["task_id"] == task["task_id"]
    made(client.post(f"/v1/tasks/{task['task_id']}/kill"))
    again = made(client.delete(path))["task"]
    assert (again["inputs"], again["task_id"] != task["task_id"]) == (task["inputs"], True)
    error(client.delete("/v1/namespaces/shop"), 404, "NotFoundError")
    assert stores.namespaces.ensure_default() == stores.namespaces.find("default") == default


def test_a_bucket_stays_while_a_batch_of_it_is_open(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    stored = make_object(client, bucket)
    make_collection(client, bucket)
    path = f"/v1/buckets/{bucket['bucket_id']}"
    batch = made(client.post(f"{path}/batches", json={"object_ids": [stored["object_id"]]}))
    made(client.post(f"{path}/batches/{batch['batch_id']}/submit"))
    found = error(client.delete(path), 409, "AlreadyExistsError")
    assert batch["batch_id"] in found["message"]
    made(client.post(f"{path}/batches/{batch['batch_id']}/cancel"))
    task = made(client.delete(path))["task"]
    assert task["status"] == "PENDING"
    error(client.get(path), 404, "NotFoundError")
    assert made(client.delete(path))["task_id"] == task["task_id"]
    made(client.post(f"/v1/tasks/{task['task_id']}/kill"))
    assert made(client.delete(path))["task_id"] != task["task_id"]
    make_bucket(client)  # the name is free
