"""Nothing of one namespace is seen or changed from another, on any route of the document."""

from collections.abc import Mapping
from typing import Final

import httpx

from tests.integration.resources import error, made
from tests.integration.world import Side, World, names_of

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
    "/v1/organizations/webhooks": "webhook_id",
}
# Lists with a GET only.
GET_LISTS: Final[Mapping[str, str]] = {"/v1/runs": "processing_id"}
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
    "/v1/organizations/webhooks/{webhook_identifier}/deliveries/list": "delivery_id",
    "/v1/clusters/{cluster_identifier}/executions/{run_id}/members/list": "document_id",
}
# Routes on the one thing of its kind that a namespace has.
CALLBACK_SECRET: Final = "/v1/organizations/webhooks/callback-secret"
OWN: Final = frozenset({f"GET {CALLBACK_SECRET}", f"POST {CALLBACK_SECRET}/rotate"})
SUMS: Final = frozenset({"GET /v1/runs/stats"})
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
        "POST /v1/organizations/webhooks",
        "POST /v1/tasks/submit",
        "POST /v1/tasks/kill",
    }
)


def is_unseen(side: Side, response: httpx.Response) -> bool:
    """Whether the answer holds no id of the side."""
    return not any(each in response.text for each in side.ids.values())


def test_every_route_is_known(world: World) -> None:
    lists = {f"GET {path}" for path in (*LISTS, *GET_LISTS)}
    lists |= {f"POST {path}" for path in POST_LISTS}
    without = {str(each) for each in world.operations if not each.parameters}
    assert without == OPEN | lists | CREATES | OWN | SUMS
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
    for path in (*LISTS, *GET_LISTS):
        own = ours.client.get(path, params=wide)
        assert made(own)["results"]
        assert is_unseen(theirs, own)


def test_sums_are_of_what_is_ours(world: World, ours: Side, theirs: Side) -> None:
    for client, count in ((ours.client, 2), (theirs.client, 2), (world.client, 4)):
        days = made(client.get("/v1/runs/stats"))["results"]
        assert sum(day["runs"] for day in days) == count


def test_cursors_open_nothing(world: World, ours: Side, theirs: Side) -> None:
    for path in (*POST_LISTS, *INNER_LISTS):
        # A key that is limited to one namespace sees only that, which is no two pages.
        whose = world.client if path == "/v1/namespaces/list" else theirs.client
        page = made(whose.post(path.format(**theirs.ids), json={"limit": 1}))
        cursor = page["pagination"]["next_cursor"]
        assert cursor, path
        response = ours.client.post(path.format(**ours.ids), json={"cursor": cursor})
        assert error(response, 422, "ValidationError"), path
    for path in GET_LISTS:
        cursor = made(theirs.client.get(path, params={"limit": 1}))["pagination"]["next_cursor"]
        assert cursor, path
        response = ours.client.get(path, params={"cursor": cursor})
        assert error(response, 422, "ValidationError"), path


def test_every_route_needs_a_key(world: World) -> None:
    with httpx.Client(base_url=world.url) as nobody:
        for each in world.operations:
            if str(each) not in OPEN:
                error(each.sent(nobody, world.ours.ids), 401, "UnauthorizedError")
