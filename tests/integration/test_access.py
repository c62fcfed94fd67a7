"""Who is let in, where, and for what."""

import httpx
import pytest
from pymongo.database import Database

from app.access.key_store import KeyStore, OpenKey
from app.access.permission import Permission
from app.access.recent import Recent
from app.database import Document
from app.errors import AlreadyExistsError
from app.stores import Stores
from tests.integration.resources import ClientMaker, error, made, make_bucket

PLAIN = "sk_0123456789"


def test_keys_are_stored_as_digests(database: Database[Document]) -> None:
    keys = KeyStore(database)
    keys.ensure_indexes()
    first = keys.register(PLAIN, "ci", Permission.WRITE)
    assert keys.register(PLAIN, "other", Permission.ADMIN) == first
    assert keys.find(PLAIN) == OpenKey(first, None)
    assert keys.find("sk_other") is None
    assert keys.find("0123456789") is None
    assert keys.find("sk_\ud800") is None
    assert "0123456789" not in str(list(database["api_keys"].find()))
    keys.revoke(first, by="key:other")
    with pytest.raises(AlreadyExistsError, match="was revoked"):
        keys.revoke(first, by="key:other")
    assert keys.find(PLAIN) is None
    keys.register(PLAIN, "ci", Permission.WRITE)
    assert keys.find(PLAIN) is None
    with pytest.raises(ValueError, match="begins with sk_"):
        keys.register("secret", "ci", Permission.READ)


def test_a_memory_forgets_in_time_and_makes_room() -> None:
    now = [0.0]
    memory: Recent[str, int] = Recent(ttl_s=5, size=2, clock=lambda: now[0])
    for key, value in (("a", 1), ("b", 2), ("c", 3)):
        memory.put(key, value, look=memory.begin())
    assert [memory.get(key) for key in "abc"] == [None, 2, 3]
    now[0] = 5.1
    assert memory.get("c") is None
    memory.put("c", 4, look=memory.begin(), within_s=2)
    assert memory.get("c") == 4
    now[0] = 7.1
    assert memory.get("c") is None


def test_a_memory_keeps_nothing_that_was_looked_up_before_it_was_cleared() -> None:
    memory: Recent[str, int] = Recent(ttl_s=5, size=2, clock=lambda: 0.0)
    look = memory.begin()
    memory.put("a", 1, look=look)
    memory.clear()
    memory.put("b", 2, look=look)
    assert [memory.get(key) for key in "ab"] == [None, None]


def test_without_a_known_key_there_is_401(api_url: str) -> None:
    calls = [
        ("GET", "/v1/namespaces"),
        ("POST", "/v1/buckets/list"),
        ("POST", "/v1/buckets"),
        ("DELETE", "/v1/buckets/b"),
        ("GET", "/v1/collections/c/documents/d"),
    ]
    for authorization in (None, "", "Bearer", "Basic sk_x", "Bearer sk_x", "sk_x", "Bearer é"):
        headers = {} if authorization is None else {b"Authorization": authorization.encode()}
        for method, path in calls:
            response = httpx.request(method, api_url + path, headers=headers)
            error(response, 401, "UnauthorizedError")
            assert response.headers["www-authenticate"] == "Bearer"


def test_a_revoked_key_is_shut_out(
    client_for: ClientMaker, client: httpx.Client, stores: Stores
) -> None:
    client_for()  # the last admin key cannot be revoked
    assert client.get("/v1/namespaces").is_success
    plain = client.headers["authorization"].removeprefix("Bearer ")
    found = stores.keys.find(plain)
    assert found is not None
    stores.keys.revoke(found.key, by="key:test")
    stores.directory.forget()  # or wait until the memory of it is too old
    error(client.get("/v1/namespaces"), 401, "UnauthorizedError")


def test_a_known_caller_costs_no_look_up(
    client: httpx.Client, database: Database[Document]
) -> None:
    assert client.post("/v1/buckets/list").is_success
    database["api_keys"].drop()
    database["namespaces"].drop()
    assert client.post("/v1/buckets/list").is_success


def test_permissions_include_those_below(client_for: ClientMaker) -> None:
    read, write, delete = (
        client_for(each) for each in (Permission.READ, Permission.WRITE, Permission.DELETE)
    )
    error(read.post("/v1/buckets", json={}), 403, "ForbiddenError")
    error(read.post("/v1/namespaces", json={}), 403, "ForbiddenError")
    bucket = make_bucket(write)
    path = f"/v1/buckets/{bucket['bucket_id']}"
    for client in (read, write, delete):
        assert client.get(path).is_success
        assert client.post("/v1/buckets/list").is_success
    error(write.delete(path), 403, "ForbiddenError")
    error(read.patch(path, json={}), 403, "ForbiddenError")
    assert delete.patch(path, json={"description": "x"}).is_success
    assert delete.delete(path).is_success


def test_the_namespace_header_takes_id_or_name(client_for: ClientMaker) -> None:
    admin = client_for()
    created = made(admin.post("/v1/namespaces", json={"namespace_name": "büro"}))
    inside = make_bucket(client_for(namespace=created["namespace_id"]))
    assert inside["namespace_id"] == created["namespace_id"]
    path = f"/v1/buckets/{inside['bucket_id']}"
    named = {b"X-Namespace": "büro".encode()}
    assert made(admin.get(path, headers=named)) == made(
        admin.get(path, headers={"X-Namespace": created["namespace_id"]})
    )
    error(admin.get(path), 404, "NotFoundError")
    error(admin.get(path, headers={"X-Namespace": "nope"}), 404, "NotFoundError")


def test_a_key_sees_only_its_namespaces(client_for: ClientMaker) -> None:
    admin = client_for()
    ours, theirs = (
        made(admin.post("/v1/namespaces", json={"namespace_name": name})) for name in ("us", "them")
    )
    limited = client_for(Permission.ADMIN, [ours["namespace_id"]], namespace="us")
    assert limited.post("/v1/buckets/list").is_success
    error(limited.post("/v1/buckets/list", headers={"X-Namespace": "them"}), 404, "NotFoundError")
    error(limited.post("/v1/buckets/list", headers={"X-Namespace": "no"}), 404, "NotFoundError")
    listed = made(limited.post("/v1/namespaces/list"))
    assert [each["namespace_name"] for each in listed["results"]] == ["us"]
    theirs_path = f"/v1/namespaces/{theirs['namespace_id']}"
    for method in ("GET", "PATCH", "DELETE"):
        error(limited.request(method, theirs_path, json={}), 404, "NotFoundError")
    error(limited.post("/v1/namespaces", json={"namespace_name": "x"}), 403, "ForbiddenError")
