"""Keys over HTTP: made, used, changed, rotated, revoked."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from app.access.permission import Permission
from app.database import Document
from app.stores import Stores
from tests.integration.resources import ClientMaker, Json, error, made, make_bucket, places

KEYS = "/v1/organizations/api-keys"
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def make_key(client: httpx.Client, **more: Any) -> Json:
    body = {"name": f"k-{secrets.token_hex(4)}", "permission": "read", **more}
    return made(client.post(KEYS, json=body))


def rotate(
    client: httpx.Client, key: Json, overlap_s: int = 0, *, once: str | None = None
) -> httpx.Response:
    """`once` is the Idempotency-Key."""
    headers = {"Idempotency-Key": once} if once else {}
    path = f"{KEYS}/{key['key_id']}/rotate"
    return client.post(path, json={"overlap_s": overlap_s}, headers=headers)


def works(url: str, key: Json) -> bool:
    """Whether the key's secret is let in."""
    headers = {"Authorization": f"Bearer {key['secret']}"}
    answer = httpx.get(f"{url}/v1/namespaces", headers=headers)
    if answer.status_code != 401:
        made(answer)
    return answer.is_success


@pytest.fixture
def tenants(client: httpx.Client) -> list[Json]:
    """Two namespaces."""
    names = ("ours", "theirs")
    return [made(client.post("/v1/namespaces", json={"namespace_name": name})) for name in names]


def test_a_key_is_made_shown_and_listed(
    client: httpx.Client, api_url: str, tenants: list[Json]
) -> None:
    key = make_key(
        client, name="ci", namespaces=["ours"], expires_at=SOON, rate_limit_per_minute=600
    )
    assert key["namespaces"] == [tenants[0]["namespace_id"]]
    assert (key["created_by"], key["status"]) == ("key:test", "ACTIVE")
    assert key["secret"].startswith(key["prefix"])
    assert len(key["prefix"]) < len(key["secret"]) / 4
    assert works(api_url, key)
    secret = key.pop("secret")
    found = made(client.get(f"{KEYS}/{key['key_id']}"))
    assert found == key
    listed = client.post(f"{KEYS}/list", json={"filters": {"name": "ci"}})
    assert made(listed)["results"] == [key]
    assert made(client.get(KEYS))["total_count"] == 2
    assert secret not in listed.text


def test_a_key_that_cannot_be_is_refused(client: httpx.Client) -> None:
    good = {"name": "k", "permission": "read"}
    past = datetime.now(UTC).isoformat()
    for bad, place in (
        ({"permission": "root"}, "permission"),
        ({"name": ""}, "name"),
        ({"namespaces": []}, "namespaces"),
        ({"namespaces": ["nowhere"]}, "namespaces"),
        ({"expires_at": past}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),  # of which zone?
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"rate_limit_per_minute": -1}, "rate_limit_per_minute"),
        ({"secret": "sk_mine"}, "secret"),
    ):
        found = error(client.post(KEYS, json={**good, **bad}), 422, "ValidationError")
        assert [location[1] for location in places(found)] == [place]
    error(client.get(f"{KEYS}/key_unknown"), 404, "NotFoundError")
    error(client.patch(f"{KEYS}/key_unknown", json={}), 404, "NotFoundError")
    error(client.delete(f"{KEYS}/key_unknown"), 404, "NotFoundError")


def test_a_name_is_taken_until_its_key_is_revoked(
    client: httpx.Client, tenants: list[Json]
) -> None:
    ours = make_key(client, name="ci", namespaces=["ours"])
    for more in ({}, {"namespaces": ["ours"]}, {"namespaces": ["theirs", "ours"]}):
        body = {"name": "ci", "permission": "read", **more}
        error(client.post(KEYS, json=body), 409, "AlreadyExistsError")
    theirs = make_key(client, name="ci", namespaces=["theirs"])  # receipts never have both
    assert theirs["key_id"] != ours["key_id"]
    other = make_key(client, name="other")
    path = f"{KEYS}/{other['key_id']}"
    error(client.patch(path, json={"name": "ci"}), 409, "AlreadyExistsError")
    for key in (ours, theirs):
        made(client.delete(f"{KEYS}/{key['key_id']}"))
    assert made(client.patch(path, json={"name": "ci"}))["name"] == "ci"


def test_of_many_makers_of_one_name_one_succeeds(client: httpx.Client) -> None:
    body = {"name": "ci", "permission": "read"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(KEYS, json=body), range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 7


def test_a_key_to_everything_and_one_to_a_part_never_get_one_name_at_once(
    client: httpx.Client, tenants: list[Json]
) -> None:
    for number in range(10):
        made_first = make_key(client, name=f"renamed-{number}", namespaces=["theirs"])
        path = f"{KEYS}/{made_first['key_id']}"
        body = {"name": f"both-{number}", "permission": "read"}
        with ThreadPoolExecutor(3) as pool:
            at_once = (
                pool.submit(client.post, KEYS, json=body),
                pool.submit(client.post, KEYS, json={**body, "namespaces": ["ours", "theirs"]}),
                pool.submit(client.patch, path, json={"name": f"both-{number}"}),
            )
            answers = [each.result() for each in at_once]
        assert sorted(each.status_code for each in answers) == [200, 409, 409]


def test_a_limited_admin_key_stays_within_its_scope(
    client: httpx.Client, client_for: ClientMaker, tenants: list[Json]
) -> None:
    ours = tenants[0]["namespace_id"]
    limited = client_for(Permission.ADMIN, [ours])
    foreign = [make_key(client), make_key(client, namespaces=["theirs"])]
    foreign.append(make_key(client, namespaces=["ours", "theirs"]))
    for key in foreign:
        path = f"{KEYS}/{key['key_id']}"
        error(limited.get(path), 404, "NotFoundError")
        error(limited.patch(path, json={"name": "x"}), 404, "NotFoundError")
        error(limited.delete(path), 404, "NotFoundError")
        error(rotate(limited, key), 404, "NotFoundError")
    body = {"name": "k", "permission": "admin"}
    found = error(limited.post(KEYS, json=body), 403, "ForbiddenError")
    assert "limited" in found["message"]
    wide = {**body, "namespaces": ["ours", "theirs"]}
    error(limited.post(KEYS, json=wide), 422, "ValidationError")
    headers = {"Idempotency-Key": "k"}  # no namespace of the request is asked for
    narrow = made(limited.post(KEYS, json={**body, "namespaces": [ours]}, headers=headers))
    listed = made(limited.post(f"{KEYS}/list"))["results"]
    assert {each["key_id"] for each in listed} > {narrow["key_id"]}
    assert all(each["namespaces"] == [ours] for each in listed)
    made(limited.delete(f"{KEYS}/{narrow['key_id']}"))


def test_a_key_of_a_deleted_namespace_opens_nothing(
    client: httpx.Client, api_url: str, tenants: list[Json]
) -> None:
    key = make_key(client, namespaces=["ours"], permission="admin")
    headers = {"Authorization": f"Bearer {key['secret']}", "X-Namespace": "ours"}
    with httpx.Client(base_url=api_url, headers=headers) as theirs:
        make_bucket(theirs)
        made(client.delete("/v1/namespaces/ours"))
        made(client.post("/v1/namespaces", json={"namespace_name": "ours"}))
        error(theirs.post("/v1/buckets/list"), 404, "NotFoundError")
        error(theirs.get("/v1/namespaces/ours"), 404, "NotFoundError")
        assert made(theirs.get("/v1/namespaces"))["results"] == []


def test_both_secrets_work_until_the_overlap_ends(
    client: httpx.Client, stores: Stores, api_url: str, database: Database[Document]
) -> None:
    first = make_key(client, permission="write")
    second = made(rotate(client, first, overlap_s=3600))
    assert second["rotated_by"] == "key:test"
    assert second["overlap_ends_at"] > second["rotated_at"]
    assert second["secret"] != first["secret"]
    third = made(rotate(client, second, overlap_s=7200))
    assert [works(api_url, key) for key in (first, second, third)] == [True] * 3
    # An hour later, by the times that are stored: the later rotation prolongs nothing.
    database["api_keys"].update_one(
        {"_id": first["key_id"]}, {"$set": {"former.0.ends_at": datetime.now(UTC)}}
    )
    stores.directory.forget()
    assert [works(api_url, key) for key in (first, second, third)] == [False, True, True]
    fourth = made(rotate(client, third))
    assert [works(api_url, key) for key in (first, second, third)] == [False] * 3
    assert works(api_url, fourth)
    assert fourth["overlap_ends_at"] is None
    stored = str(list(database["api_keys"].find()))
    assert not any(key["secret"] in stored for key in (first, second, third, fourth))


def test_of_two_rotations_at_once_one_succeeds(client: httpx.Client, api_url: str) -> None:
    key = make_key(client)
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: rotate(client, key), range(4)))
        given = [made(answer) for answer in answers if answer.is_success]
        assert sum(works(api_url, each) for each in given) == 1
        for answer in answers:
            if not answer.is_success:
                found = error(answer, 409, "AlreadyExistsError")
                assert "another request" in found["message"]


def test_secrets_of_one_key_are_bounded(client: httpx.Client, api_url: str) -> None:
    key = make_key(client)
    for _ in range(10):
        made(rotate(client, key, overlap_s=60))
    found = error(rotate(client, key, overlap_s=60), 409, "AlreadyExistsError")
    assert "wait until an overlap ends" in found["message"]
    assert works(api_url, key)


def test_a_repeated_request_gives_the_same_secret_which_nothing_stores(
    client: httpx.Client, api_url: str, database: Database[Document]
) -> None:
    body = {"name": "ci", "permission": "read"}
    headers = {"Idempotency-Key": "once"}
    first = made(client.post(KEYS, json=body, headers=headers))
    again = client.post(KEYS, json=body, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert made(again)["secret"] == first["secret"]
    other = {**body, "name": "other"}
    error(client.post(KEYS, json=other, headers=headers), 409, "AlreadyExistsError")
    rotated = made(rotate(client, first, once="once"))
    assert made(rotate(client, first, once="once")) == rotated
    assert works(api_url, rotated)
    assert not works(api_url, first)
    latest = made(rotate(client, first))
    late = error(rotate(client, first, once="once"), 409, "AlreadyExistsError")
    assert "answered before" in late["message"]
    assert works(api_url, latest)
    assert database["api_keys"].count_documents({"name": "ci"}) == 1
    names = database.list_collection_names()
    everything = "".join(str(list(database[name].find())) for name in names)
    assert not any(key["secret"] in everything for key in (first, rotated, latest))


def test_a_request_whose_end_was_never_kept_has_one_effect(
    client: httpx.Client, database: Database[Document], api_url: str
) -> None:
    body = {"name": "ci", "permission": "read"}
    headers = {"Idempotency-Key": "once"}
    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    unclear = {"$set": {"status": None, "claimed_at": long_ago}}
    first = made(client.post(KEYS, json=body, headers=headers))
    database["idempotency"].update_many({}, unclear)
    assert made(client.post(KEYS, json=body, headers=headers)) == first
    rotated = made(rotate(client, first, 60, once="once"))
    database["idempotency"].update_many({}, unclear)
    assert made(rotate(client, first, 60, once="once")) == rotated
    assert works(api_url, rotated)


def test_a_secret_of_another_caller_is_another(
    client: httpx.Client, client_for: ClientMaker, database: Database[Document]
) -> None:
    caller = make_key(client, name="admin-2", permission="admin")
    with httpx.Client(base_url=client.base_url) as admin:
        headers = {"Authorization": f"Bearer {caller['secret']}", "Idempotency-Key": "once"}
        body = {"name": "ci", "permission": "read"}
        first = made(admin.post(KEYS, json=body, headers=headers))
        renewed = made(rotate(client, caller))
        headers["Authorization"] = f"Bearer {renewed['secret']}"
        found = error(admin.post(KEYS, json=body, headers=headers), 409, "AlreadyExistsError")
        assert "answered before" in found["message"]
        assert made(client.get(f"{KEYS}/{first['key_id']}"))["rotated_at"] is None


def test_expiry_is_set_lifted_and_over(
    client: httpx.Client, stores: Stores, api_url: str, database: Database[Document]
) -> None:
    key = make_key(client, expires_at=SOON)
    path = f"{KEYS}/{key['key_id']}"
    database["api_keys"].update_one(
        {"_id": key["key_id"]}, {"$set": {"expires_at": datetime.now(UTC)}}
    )
    assert made(client.get(path))["status"] == "ARCHIVED"
    assert not works(api_url, key)
    error(rotate(client, key), 409, "AlreadyExistsError")
    assert made(client.patch(path, json={"expires_at": None}))["status"] == "ACTIVE"
    assert works(api_url, key)


def test_a_revoked_key_is_shut_out_at_once_and_for_good(client: httpx.Client, api_url: str) -> None:
    key = make_key(client)
    rotated = made(rotate(client, key, overlap_s=60))
    assert works(api_url, key)
    path = f"{KEYS}/{key['key_id']}"
    revoked = made(client.delete(path))["key"]
    assert (revoked["status"], revoked["revoked_by"]) == ("ARCHIVED", "key:test")
    assert not works(api_url, key)
    assert not works(api_url, rotated)
    assert made(client.delete(path))["key"] == revoked
    error(client.patch(path, json={"expires_at": None}), 409, "AlreadyExistsError")
    error(rotate(client, key), 409, "AlreadyExistsError")


def test_a_key_that_is_used_while_it_is_revoked_is_shut_out(
    client: httpx.Client, api_url: str, stores: Stores
) -> None:
    key = make_key(client)
    with ThreadPoolExecutor(5) as pool:
        users = [pool.submit(lambda: [works(api_url, key) for _ in range(20)]) for _ in range(4)]
        made(client.delete(f"{KEYS}/{key['key_id']}"))
        assert not works(api_url, key)
        for user in users:
            answers = user.result()
            assert answers == sorted(answers, reverse=True)  # never again, once shut out
    assert not works(api_url, key)


def test_the_last_admin_key_to_everything_stays(
    client: httpx.Client, stores: Stores, tenants: list[Json]
) -> None:
    last = made(client.get(KEYS))["results"][0]
    path = f"{KEYS}/{last['key_id']}"
    for more in ({"namespaces": ["ours"]}, {"expires_at": SOON}, {"permission": "delete"}):
        make_key(client, **{"permission": "admin", **more})
    for refused in (client.delete(path), client.patch(path, json={"expires_at": SOON})):
        assert "make another one first" in error(refused, 409, "AlreadyExistsError")["message"]
    make_key(client, permission="admin")
    made(client.delete(path))


def test_admins_that_revoke_each_other_leave_one(
    client: httpx.Client, client_for: ClientMaker, database: Database[Document]
) -> None:
    admins = [client, *(client_for() for _ in range(3))]
    ids = [each["key_id"] for each in made(client.get(KEYS))["results"]]
    with ThreadPoolExecutor(8) as pool:
        revoked = pool.map(
            lambda pair: pair[0].delete(f"{KEYS}/{pair[1]}"), zip(admins, ids, strict=True)
        )
        again = pool.map(
            lambda pair: pair[0].delete(f"{KEYS}/{pair[1]}"),
            zip(admins, reversed(ids), strict=True),
        )
        for answer in [*revoked, *again]:
            assert answer.status_code in (200, 401, 409), answer.text
    assert database["api_keys"].count_documents({"revoked_at": None}) >= 1


def test_the_last_use_is_written_apart_from_requests(
    client: httpx.Client, stores: Stores, api_url: str
) -> None:
    key = make_key(client)
    path = f"{KEYS}/{key['key_id']}"
    before = datetime.now(UTC).replace(microsecond=0)
    assert works(api_url, key)
    assert made(client.get(path))["last_used_at"] is None
    stores.last_use.write()
    used = datetime.fromisoformat(made(client.get(path))["last_used_at"])
    assert before <= used <= datetime.now(UTC)
    stores.last_use.write()  # nobody has used it since
    assert datetime.fromisoformat(made(client.get(path))["last_used_at"]) == used


def test_a_key_of_an_earlier_version_goes_on_working(
    client: httpx.Client, stores: Stores, api_url: str, database: Database[Document]
) -> None:
    plain = f"sk_{secrets.token_hex(16)}"
    key_id = stores.keys.register(plain, "old", Permission.ADMIN).key_id
    kept = {"sha256", "name", "permission", "namespace_ids", "created_at", "_id"}
    stored = database["api_keys"].find_one({"_id": key_id}) or {}
    database["api_keys"].replace_one(
        {"_id": key_id}, {k: v for k, v in stored.items() if k in kept}
    )
    old = {"key_id": key_id, "secret": plain}
    assert works(api_url, old)
    shown = made(client.get(f"{KEYS}/{key_id}"))
    assert (shown["status"], shown["created_by"], shown["prefix"]) == ("ACTIVE", None, "sk_")
    rotated = made(rotate(client, old, overlap_s=60))
    assert works(api_url, old)
    assert works(api_url, rotated)
    made(client.delete(f"{KEYS}/{key_id}"))
    assert not works(api_url, rotated)
