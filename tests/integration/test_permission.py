"""What a key of each permission may call: one table for every route of the OpenAPI document."""

import re
from collections.abc import Iterator, Mapping

import httpx
import pytest
from fastapi import FastAPI

from app.access.permission import Permission
from app.settings import Settings
from tests.integration.resources import ClientMaker, error

READ, WRITE, DELETE, ADMIN = Permission

OPEN = {"GET /v1/health", "GET /v1/health/beat", "GET /metrics"}

NEEDED: Mapping[str, Permission] = {
    "GET /v1/organizations/api-keys": ADMIN,
    "POST /v1/organizations/api-keys": ADMIN,
    "POST /v1/organizations/api-keys/list": ADMIN,
    "GET /v1/organizations/api-keys/{}": ADMIN,
    "PATCH /v1/organizations/api-keys/{}": ADMIN,
    "DELETE /v1/organizations/api-keys/{}": ADMIN,
    "POST /v1/organizations/api-keys/{}/rotate": ADMIN,
    "GET /v1/namespaces": READ,
    "POST /v1/namespaces": WRITE,
    "POST /v1/namespaces/list": READ,
    "GET /v1/namespaces/{}": READ,
    "PATCH /v1/namespaces/{}": WRITE,
    "DELETE /v1/namespaces/{}": DELETE,
    "GET /v1/buckets": READ,
    "POST /v1/buckets": WRITE,
    "POST /v1/buckets/list": READ,
    "GET /v1/buckets/{}": READ,
    "PATCH /v1/buckets/{}": WRITE,
    "DELETE /v1/buckets/{}": DELETE,
    "GET /v1/buckets/{}/objects": READ,
    "POST /v1/buckets/{}/objects": WRITE,
    "POST /v1/buckets/{}/objects/batch": WRITE,
    "POST /v1/buckets/{}/objects/list": READ,
    "GET /v1/buckets/{}/objects/{}": READ,
    "DELETE /v1/buckets/{}/objects/{}": DELETE,
    "POST /v1/buckets/{}/batches": WRITE,
    "POST /v1/buckets/{}/batches/list": READ,
    "GET /v1/batches/{}": READ,
    "GET /v1/buckets/{}/batches/{}": READ,
    "GET /v1/buckets/{}/batches/{}/failed-documents": READ,
    "POST /v1/buckets/{}/batches/{}/objects": WRITE,
    "POST /v1/buckets/{}/batches/{}/submit": WRITE,
    "POST /v1/buckets/{}/batches/{}/retry": WRITE,
    "POST /v1/buckets/{}/batches/{}/cancel": DELETE,
    "GET /v1/collections": READ,
    "POST /v1/collections": WRITE,
    "POST /v1/collections/list": READ,
    "GET /v1/collections/{}": READ,
    "PATCH /v1/collections/{}": WRITE,
    "DELETE /v1/collections/{}": DELETE,
    "GET /v1/collections/{}/documents": READ,
    "POST /v1/collections/{}/documents/list": READ,
    "GET /v1/collections/{}/documents/count": READ,
    "POST /v1/collections/{}/documents/count": READ,
    "POST /v1/collections/{}/documents/aggregate": READ,
    "GET /v1/collections/{}/documents/{}": READ,
    "GET /v1/clusters": READ,
    "POST /v1/clusters": WRITE,
    "POST /v1/clusters/list": READ,
    "GET /v1/clusters/{}": READ,
    "PATCH /v1/clusters/{}": WRITE,
    "DELETE /v1/clusters/{}": DELETE,
    "POST /v1/clusters/{}/execute": WRITE,
    "GET /v1/clusters/{}/executions": READ,
    "POST /v1/clusters/{}/executions/list": READ,
    "GET /v1/clusters/{}/executions/{}": READ,
    "POST /v1/clusters/{}/executions/{}/cancel": DELETE,
    "POST /v1/clusters/{}/executions/{}/members/list": READ,
    "GET /v1/clusters/{}/groups": READ,
    "GET /v1/clusters/{}/visualization": READ,
    "GET /v1/clusters/{}/visualization.svg": READ,
    "GET /v1/clusters/{}/visualization.png": READ,
    "GET /v1/taxonomies": READ,
    "POST /v1/taxonomies": WRITE,
    "POST /v1/taxonomies/list": READ,
    "GET /v1/taxonomies/{}": READ,
    "PATCH /v1/taxonomies/{}": WRITE,
    "DELETE /v1/taxonomies/{}": DELETE,
    "GET /v1/taxonomies/{}/versions": READ,
    "POST /v1/taxonomies/{}/versions": WRITE,
    "POST /v1/taxonomies/{}/execute": READ,
    "POST /v1/taxonomies/execute/{}": READ,
    "POST /v1/taxonomies/{}/materialize": WRITE,
    "POST /v1/collections/{}/apply-taxonomy": WRITE,
    "GET /v1/namespaces/migrations": ADMIN,
    "POST /v1/namespaces/migrations": ADMIN,
    "POST /v1/namespaces/migrations/validate": ADMIN,
    "POST /v1/namespaces/migrations/list": ADMIN,
    "GET /v1/namespaces/migrations/{}": ADMIN,
    "DELETE /v1/namespaces/migrations/{}": ADMIN,
    "POST /v1/namespaces/migrations/{}/start": ADMIN,
    "POST /v1/namespaces/migrations/{}/cancel": ADMIN,
    "POST /v1/namespaces/migrations/{}/rollback": ADMIN,
    "GET /v1/organizations/webhooks": READ,
    "POST /v1/organizations/webhooks": WRITE,
    "POST /v1/organizations/webhooks/list": READ,
    "GET /v1/organizations/webhooks/callback-secret": ADMIN,
    "POST /v1/organizations/webhooks/callback-secret/rotate": ADMIN,
    "GET /v1/organizations/webhooks/{}": READ,
    "PUT /v1/organizations/webhooks/{}": WRITE,
    "DELETE /v1/organizations/webhooks/{}": DELETE,
    "POST /v1/organizations/webhooks/{}/rotate-secret": WRITE,
    "POST /v1/organizations/webhooks/{}/test": WRITE,
    "GET /v1/organizations/webhooks/{}/deliveries": READ,
    "POST /v1/organizations/webhooks/{}/deliveries/list": READ,
    "POST /v1/organizations/webhooks/{}/deliveries/replay": WRITE,
    "POST /v1/organizations/webhooks/{}/deliveries/purge": DELETE,
    "GET /v1/organizations/webhooks/{}/deliveries/{}": READ,
    "POST /v1/organizations/webhooks/{}/deliveries/{}/replay": WRITE,
    "GET /v1/runs": READ,
    "GET /v1/runs/stats": READ,
    "GET /v1/runs/{}": READ,
    "POST /v1/tasks/list": READ,
    "POST /v1/tasks/submit": WRITE,
    "POST /v1/tasks/kill": DELETE,
    "GET /v1/tasks/{}": READ,
    "GET /v1/tasks/{}/history": READ,
    "GET /v1/tasks/{}/events": READ,
    "GET /v1/tasks/{}/callback": READ,
    "POST /v1/tasks/{}/callback/replay": WRITE,
    "POST /v1/tasks/{}/kill": DELETE,
    "DELETE /v1/tasks/{}": DELETE,
    "POST /v1/tasks/{}/suspend": WRITE,
    "POST /v1/tasks/{}/resume": WRITE,
}


@pytest.fixture
def settings(settings: Settings, postgres_url: str) -> Settings:
    """With PostgreSQL, too, where runs are read."""
    return settings.model_copy(update={"postgres_url": postgres_url})


def routes(api: FastAPI) -> Iterator[str]:
    """`METHOD /path/{}` of each."""
    for path, methods in api.openapi()["paths"].items():
        for method in methods:
            yield f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}"


def test_the_table_has_every_route_and_no_other(api: FastAPI) -> None:
    assert set(routes(api)) == {*NEEDED, *OPEN}


@pytest.mark.parametrize("permission", Permission)
def test_a_key_may_call_what_its_permission_includes_and_nothing_else(
    client_for: ClientMaker, permission: Permission
) -> None:
    client = client_for(permission)
    for route, needed in NEEDED.items():
        method, path = route.split()
        # Nothing has this id, and this body fits nowhere: who is let in changes nothing.
        url = path.replace("{}", "nothing")
        answer = client.request(method, url, json={"unheard_of": 1})
        if permission.includes(needed):
            assert answer.status_code not in (401, 403, 405, 429), route
            assert answer.status_code < 500, answer.text
        else:
            found = error(answer, 403, "ForbiddenError")
            assert f"'{needed}'" in found["message"], route


def test_open_routes_need_no_key(api_url: str) -> None:
    for route in sorted(OPEN):
        method, path = route.split()
        assert httpx.request(method, api_url + path).status_code in (200, 503), route
