"""Nothing of one namespace is seen or changed from another, on any route of the document."""

import random
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import httpx
import pytest
from pymongo import MongoClient

from app.access.permission import Permission
from app.database import Document
from app.main import create_app
from app.receipts.job_type import JobType
from app.resources.task import OpenTasks, TaskSelection
from app.settings import Settings
from app.stores import Stores
from tests.integration.clusters import cluster_body
from tests.integration.conftest import serving
from tests.integration.resources import (
    Json,
    collection_body,
    error,
    made,
)
from tests.integration.supply import TASK_TYPE, Supply

OPEN: Final = frozenset({"GET /v1/health", "GET /v1/health/beat", "GET /metrics"})
# Lists of a namespace or of what a key may see; every row of theirs must stay out.
LISTS: Final[Mapping[str, str]] = {
    "/v1/namespaces": "namespace_id",
    "/v1/buckets": "bucket_id",
    "/v1/collections": "collection_id",
    "/v1/clusters": "cluster_id",
    "/v1/namespaces/migrations": "migration_id",
    "/v1/taxonomies": "taxonomy_id",
    "/v1/organizations/api-keys": "key_id",
}
# Lists with a POST only, and lists inside of a bucket or a collection.
POST_LISTS: Final[Mapping[str, str]] = {
    **{f"{path}/list": field for path, field in LISTS.items()},
    "/v1/tasks/list": "task_id",
}
INNER_LISTS: Final[Mapping[str, str]] = {
    "/v1/buckets/{bucket_identifier}/objects/list": "object_id",
    "/v1/buckets/{bucket_identifier}/batches/list": "batch_id",
    "/v1/collections/{collection_identifier}/documents/list": "document_id",
    "/v1/clusters/{cluster_identifier}/executions/list": "run_id",
    "/v1/clusters/{cluster_identifier}/executions/{run_id}/members/list": "document_id",
}
# Routes that name nothing in their path and make something: their bodies are tested below.
CREATES: Final = frozenset(
    {
        "POST /v1/namespaces",
        "POST /v1/buckets",
        "POST /v1/collections",
        "POST /v1/clusters",
        "POST /v1/namespaces/migrations",
        "POST /v1/namespaces/migrations/validate",
        "POST /v1/taxonomies",
        "POST /v1/organizations/api-keys",
        "POST /v1/tasks/submit",
        "POST /v1/tasks/kill",
    }
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    described: Json
    body: object

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    def sent(
        self, client: httpx.Client, ids: Mapping[str, str], headers: Mapping[str, str] = {}
    ) -> httpx.Response:
        path = self.path.format(**ids)
        return client.request(self.method, path, headers=headers, json=self.body)


def operations(document: Json) -> Iterator[Operation]:
    """Every operation, with the first example of its body."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described, _example(document, described))


def _example(document: Json, described: Json) -> object:
    if "requestBody" not in described:
        return None
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    first = schema.get("anyOf", [schema])[0]
    name = first["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"][0]


@dataclass(frozen=True, slots=True)
class Side:
    """One namespace: a client whose key opens only that, and one of each thing in it."""

    client: httpx.Client
    ids: Mapping[str, str]

    @property
    def namespace_id(self) -> str:
        return self.ids["namespace_identifier"]


@dataclass(frozen=True, slots=True)
class World:
    """An API with two namespaces that are alike, and a client whose key opens both."""

    url: str
    stores: Stores
    client: httpx.Client
    ours: Side
    theirs: Side
    operations: Sequence[Operation]


@pytest.fixture(scope="module")
def world(mongo: MongoClient[Document], mongo_url: str, redis_url: str) -> Iterator[World]:
    """One for all tests of this module: they only add to it."""
    name = f"test_{secrets.token_hex(8)}"
    values = {"mongo_url": mongo_url, "mongo_database": name, "redis_url": redis_url}
    api = create_app(Settings.model_validate(values))
    with serving(api) as url, ExitStack() as clients:
        stores: Stores = api.state.stores
        kind = JobType(TASK_TYPE, "jobs", 3, submittable=True, suspendable=True)
        stores.ledger.job_types.register([kind])

        def client(namespace_id: str | None = None, also: str = "") -> httpx.Client:
            key = f"sk_{secrets.token_hex(16)}"
            scope = None if namespace_id is None else [namespace_id, also]
            stores.keys.register(key, "test", Permission.ADMIN, scope)
            headers = {"Authorization": f"Bearer {key}"}
            if namespace_id is not None:
                headers["X-Namespace"] = namespace_id
            return clients.enter_context(httpx.Client(base_url=url, headers=headers, timeout=60))

        def side(seed: int) -> Side:
            supply = Supply(client(), mongo[name], random.Random(seed))
            supply.add_others()
            ours = client(supply.ids["namespace_identifier"], also=supply.extended)
            return Side(ours, supply.ids)

        found = list(operations(api.openapi()))
        yield World(url, stores, client(), side(1), side(2), found)
    mongo.drop_database(name)


@pytest.fixture
def ours(world: World) -> Side:
    return world.ours


@pytest.fixture
def theirs(world: World) -> Side:
    return world.theirs


def names_of(side: Side) -> dict[str, str]:
    """The same things by their names, where they have one."""
    paths = {
        "namespace_identifier": ("/v1/namespaces/{}", "namespace_name"),
        "bucket_identifier": ("/v1/buckets/{}", "bucket_name"),
        "collection_identifier": ("/v1/collections/{}", "collection_name"),
        "cluster_identifier": ("/v1/clusters/{}", "cluster_name"),
        "taxonomy_identifier": ("/v1/taxonomies/{}", "taxonomy_name"),
    }
    return {
        parameter: made(side.client.get(path.format(side.ids[parameter])))[field]
        for parameter, (path, field) in paths.items()
    }


def is_unseen(side: Side, response: httpx.Response) -> bool:
    """Whether the answer holds no id of the side."""
    return not any(each in response.text for each in side.ids.values())


def test_every_route_is_known(world: World) -> None:
    lists = {f"GET {path}" for path in LISTS} | {f"POST {path}" for path in POST_LISTS}
    without = {str(each) for each in world.operations if not each.parameters}
    assert without == OPEN | lists | CREATES
    assert len(world.operations) - len(without) >= 40


def test_what_is_theirs_is_there(world: World, theirs: Side) -> None:
    reads = [each for each in world.operations if each.method == "GET" and each.parameters]
    assert len(reads) >= 15
    for each in reads:
        if not each.path.endswith("/events"):  # open until the task ends
            assert each.sent(theirs.client, theirs.ids).status_code == 200, str(each)


def test_every_route_answers_404(world: World, ours: Side, theirs: Side) -> None:
    """For each parameter in turn: the others are ours, this one is theirs, by id and by name."""
    names = names_of(theirs)
    for each in world.operations:
        for parameter in each.parameters:
            for foreign in {theirs.ids[parameter], names.get(parameter, theirs.ids[parameter])}:
                response = each.sent(ours.client, {**ours.ids, parameter: foreign})
                found = error(response, 404, "NotFoundError")
                assert found["message"] != "No such path", str(each)


def test_their_namespace_is_closed(world: World, ours: Side, theirs: Side) -> None:
    name = names_of(theirs)["namespace_identifier"]
    in_namespaces = [
        each for each in world.operations if "X-Namespace" in str(each.described["parameters"])
    ]
    assert len(in_namespaces) >= 35
    for each in in_namespaces:
        for namespace in (theirs.namespace_id, name):
            headers = {"X-Namespace": namespace}
            error(each.sent(ours.client, theirs.ids, headers), 404, "NotFoundError")


def test_lists_show_only_what_is_ours(ours: Side, theirs: Side) -> None:
    wide = {"limit": 1000, "include_total": True}
    for path, field in {**POST_LISTS, **INNER_LISTS}.items():
        url = path.format(**ours.ids)
        own = ours.client.post(url, params=wide, json={})
        assert made(own)["results"], path
        assert made(own)["pagination"]["total"] == len(made(own)["results"])
        assert is_unseen(theirs, own), path
        (foreign,) = {theirs.ids[name] for name in theirs.ids if name.startswith(field[:-3])}
        for filters in ({field: foreign}, {"OR": [{field: foreign}]}, {"NOT": [{field: "x"}]}):
            response = ours.client.post(url, params=wide, json={"filters": filters})
            assert response.status_code == 422 or is_unseen(theirs, response), path
    for path in LISTS:
        own = ours.client.get(path, params=wide)
        assert made(own)["results"]
        assert is_unseen(theirs, own)


def test_cursors_open_nothing(world: World, ours: Side, theirs: Side) -> None:
    for path in (*POST_LISTS, *INNER_LISTS):
        # A key that is limited to one namespace sees only that, which is no two pages.
        whose = world.client if path == "/v1/namespaces/list" else theirs.client
        page = made(whose.post(path.format(**theirs.ids), json={"limit": 1}))
        cursor = page["pagination"]["next_cursor"]
        assert cursor, path
        response = ours.client.post(path.format(**ours.ids), json={"cursor": cursor})
        assert error(response, 422, "ValidationError"), path


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


def test_bulk_kills_end_nothing_of_theirs(world: World, ours: Side, theirs: Side) -> None:
    task = made(ours.client.post("/v1/tasks/kill", json={"status": "PENDING"}))
    assert task["namespace_id"] == ours.namespace_id
    receipts = world.stores.ledger.receipts
    selected = OpenTasks(
        receipts,
        TaskSelection.from_json(task["inputs"][0]),
        namespace_id=task["namespace_id"],
        at=receipts.get(task["task_id"]).created_at,
        asking=task["task_id"],
    ).some(limit=1000)
    assert ours.ids["task_id"] in selected
    assert theirs.ids["task_id"] not in selected
    children = {"parent_task_id": theirs.ids["task_id"]}
    assert made(ours.client.post("/v1/tasks/list", json=children))["results"] == []


def test_idempotency_keys_are_of_one_namespace(world: World) -> None:
    """One key that opens both: the same request in the other namespace is another one."""
    ids = set()
    for side in (world.ours, world.theirs):
        headers = {"Idempotency-Key": "the-same", "X-Namespace": side.namespace_id}
        body = {"tasks": [{"task_type": TASK_TYPE}]}
        answer = made(world.client.post("/v1/tasks/submit", json=body, headers=headers))
        ids |= {each["task_id"] for each in answer["succeeded"]}
    assert len(ids) == 2


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


def test_every_route_needs_a_key(world: World) -> None:
    with httpx.Client(base_url=world.url) as nobody:
        for each in world.operations:
            if str(each) not in OPEN:
                error(each.sent(nobody, world.ours.ids), 401, "UnauthorizedError")
