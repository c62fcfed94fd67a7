"""Webhooks over HTTP: made, read, changed, rotated, disabled, deleted."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from pymongo.database import Database

from app.access.permission import Permission
from app.database import Document
from app.deliveries.mailbox import Ring
from app.deliveries.post import Post
from app.main import create_app
from app.settings import Settings
from app.stores import Stores
from app.webhooks.channel import Channel
from app.webhooks.endpoint import Registration
from app.webhooks.secret import Seal, SealedElsewhereError, make_key, read_secret
from app.webhooks.webhook import WebhookStore
from tests.integration.conftest import serving
from tests.integration.resources import ClientMaker, Json, error, made, places
from tests.integration.webhooks import (
    GIVEN,
    HOOKS,
    URL,
    body,
    config_of,
    make,
    pause,
    try_out,
)


@pytest.fixture
def tenants(client: httpx.Client) -> tuple[str, str]:
    """The ids of two namespaces."""
    first, second = (
        made(client.post("/v1/namespaces", json={"namespace_name": name}))["namespace_id"]
        for name in ("ours", "theirs")
    )
    return first, second


@pytest.fixture
def webhooks(stores: Stores) -> WebhookStore:
    return stores.post.webhooks


def test_a_webhook_shows_its_secret_once(
    client: httpx.Client, webhooks: WebhookStore, database: Database[Document]
) -> None:
    new = make(client, headers={"X-Team": "web", "Authorization": "Bearer mine"}, timeout=3)
    config = config_of(new)
    key = read_secret(config["signing_secret"])
    assert len(key) == 32
    assert config["headers"] == {"X-Team": "web", "Authorization": "Bearer mine"}
    assert (new["namespace_id"], new["status"], new["is_active"]) == (None, "ACTIVE", True)
    read = made(client.get(f"{HOOKS}/orders"))
    assert made(client.get(f"{HOOKS}/{new['webhook_id']}")) == read
    assert config_of(read)["signing_secret"] == "redacted"
    assert config_of(read)["headers"] == {"X-Team": "redacted", "Authorization": "redacted"}
    (listed,) = made(client.get(HOOKS))["results"]
    assert {**listed, "delivery_health": None} == {**read, "delivery_health": None}

    destination = webhooks.destination(new["webhook_id"])
    assert destination is not None
    assert (destination.url, destination.timeout_s, destination.keys) == (URL, 3.0, (key,))
    assert destination.headers == config["headers"]
    stored = str(list(database["webhooks"].find()))
    for kept_out in (config["signing_secret"], "Bearer mine", repr(key), base64.b64encode(key)):
        assert str(kept_out) not in stored
    (subscription,) = webhooks.subscriptions()
    assert subscription.event_types == {"task.completed"}
    assert subscription.is_open


def test_a_wrong_webhook_is_refused(client: httpx.Client) -> None:
    wrong: list[tuple[Json, list[str | int]]] = [
        ({"event_types": ["task.done"]}, ["body", "event_types", 0]),
        ({"event_types": ["*", "*"]}, ["body", "event_types", 1]),
        ({"event_types": ["webhook.test"]}, ["body", "event_types", 0]),
        ({"event_types": []}, ["body", "event_types"]),
        ({"webhook_name": "wh_1"}, ["body", "webhook_name"]),
        ({"webhook_name": "callback-secret"}, ["body", "webhook_name"]),
        ({"channels": []}, ["body", "channels"]),
        ({"channels": body()["channels"] * 2}, ["body", "channels"]),
        ({"resource_types": ["task"]}, ["body", "resource_types"]),
    ]
    for bad, place in wrong:
        found = error(client.post(HOOKS, json={**body(), **bad}), 422, "ValidationError")
        assert places(found) == [place]
        if place == ["body", "event_types", 0]:
            assert "object.created, " in found["message"]
    configs: list[Json] = [
        {"url": "ftp://example.com/"},
        {"url": "http://127.0.0.1/"},
        {"url": "https://example.com:8443/"},
        {"headers": {"webhook-id": "mine"}},
        {"headers": {"Host": "example.org"}},
        {"headers": {"X-Team": "redacted"}},
        {"timeout": 0.5},
        {"timeout": 61},
        {"signing_secret": "whsec_AAAA"},
        {"signing_secret": "redacted"},
        {"payload_template": {}},
    ]
    for config in configs:
        found = error(client.post(HOOKS, json=body(**config)), 422, "ValidationError")
        ((*_, key),) = places(found)
        assert key in config


def test_names_are_unique_where_they_are_seen(
    client: httpx.Client, client_for: ClientMaker, tenants: tuple[str, str]
) -> None:
    ours, theirs = (client_for(Permission.DELETE, [each], each) for each in tenants)
    mine, other = make(ours, "x"), make(theirs, "x")
    error(ours.post(HOOKS, json=body("x")), 409, "AlreadyExistsError")
    error(client.get(f"{HOOKS}/x"), 400, "BadRequestError")
    everywhere = make(client, "x")
    assert made(client.get(f"{HOOKS}/x"))["webhook_id"] == everywhere["webhook_id"]
    made(client.delete(f"{HOOKS}/x"))
    path = f"{HOOKS}/{make(ours, 'y')['webhook_id']}"
    error(ours.put(path, json=body("x")), 409, "AlreadyExistsError")
    made(ours.delete(f"{HOOKS}/x"))
    assert made(ours.put(path, json=body("x")))["webhook_name"] == "x"
    assert made(theirs.get(f"{HOOKS}/x"))["webhook_id"] == other["webhook_id"]
    error(ours.get(f"{HOOKS}/{mine['webhook_id']}"), 404, "NotFoundError")


def test_a_limited_key_sees_its_namespaces_alone(
    client: httpx.Client, client_for: ClientMaker, tenants: tuple[str, str]
) -> None:
    """With the header and without it."""
    ours, theirs = tenants
    everywhere = make(client, "everywhere")
    mine = make(client_for(Permission.WRITE, [ours], ours), "mine")
    other = make(client_for(Permission.WRITE, [theirs], theirs), "other")
    limited = client_for(Permission.DELETE, [ours])
    found = error(limited.post(HOOKS, json=body()), 403, "ForbiddenError")
    assert "X-Namespace" in found["message"]
    assert [each["webhook_id"] for each in made(limited.get(HOOKS))["results"]] == [
        mine["webhook_id"]
    ]
    for hidden in (everywhere, other):
        delivery = try_out(client, hidden)
        path = f"{HOOKS}/{hidden['webhook_id']}"
        for response in (
            limited.get(path),
            limited.get(f"{HOOKS}/{hidden['webhook_name']}"),
            limited.put(path, json=body()),
            limited.delete(path),
            limited.post(f"{path}/rotate-secret"),
            limited.get(f"{path}/deliveries"),
            limited.get(f"{path}/deliveries/{delivery['delivery_id']}"),
            limited.post(f"{path}/deliveries/purge", json={}),
            limited.get(f"{HOOKS}/mine/deliveries/{delivery['delivery_id']}"),
        ):
            error(response, 404, "NotFoundError")
    seen = made(client.post(f"{HOOKS}/list", json={"sort": {"field": "webhook_name"}}))
    assert [each["webhook_name"] for each in seen["results"]] == ["other", "mine", "everywhere"]
    assert (seen["total"], seen["total_count"]) == (3, 3)
    theirs_alone = made(client.get(HOOKS, headers={"X-Namespace": theirs}))
    assert [each["webhook_name"] for each in theirs_alone["results"]] == ["other"]


def test_what_was_read_may_be_put_back(
    client: httpx.Client, webhooks: WebhookStore, database: Database[Document]
) -> None:
    new = make(client, headers={"X-Team": "web"})
    path = f"{HOOKS}/{new['webhook_id']}"
    read = made(client.get(path))
    again = made(client.put(path, json=read))
    assert {**again, "updated_at": None} == {**read, "updated_at": None}
    changed = {**read, "webhook_name": "all", "event_types": ["*"]}
    changed["channels"][0]["configs"]["headers"] |= {"X-More": "1"}
    made(client.put(path, json=changed))
    destination = webhooks.destination(new["webhook_id"])
    assert destination is not None
    assert destination.headers == {"X-Team": "web", "X-More": "1"}
    assert destination.keys == (read_secret(config_of(new)["signing_secret"]),)
    (subscription,) = webhooks.subscriptions()
    assert subscription.event_types == {"*"}
    until = datetime.now(UTC) + timedelta(hours=1)
    pause(database, new["webhook_id"], until)
    paused = made(client.put(path, json=changed))["delivery_health"]["paused_until"]
    assert paused is not None  # it was open: what it asked for, it still asks for
    config_of(changed)["signing_secret"] = GIVEN
    found = error(client.put(path, json=changed), 422, "ValidationError")
    assert "rotate-secret" in found["message"]
    one = {"event_type": "*", "is_active": True, "search": "ALL"}
    assert made(client.post(f"{HOOKS}/list", json=one))["total"] == 1
    assert made(client.post(f"{HOOKS}/list", json={"is_active": False}))["total"] == 0


def test_earlier_secrets_sign_until_their_overlap_ends(
    client: httpx.Client, webhooks: WebhookStore, database: Database[Document]
) -> None:
    def keys() -> tuple[bytes, ...]:
        found = webhooks.destination(webhook["webhook_id"])
        assert found is not None
        return found.keys

    def rotate(**asked: object) -> bytes:
        answer = made(client.post(f"{HOOKS}/orders/rotate-secret", json=asked))
        assert config_of(answer)["headers"] == {"X-Team": "redacted"}
        return read_secret(config_of(answer)["signing_secret"])

    webhook = make(client, signing_secret=GIVEN, headers={"X-Team": "web"})
    first = read_secret(GIVEN)
    second, third = rotate(), rotate(overlap_s=60)
    assert keys() == (third, second, first)
    database["webhooks"].update_one({}, {"$set": {"keyring.keys.2.ends_at": datetime.now(UTC)}})
    assert keys() == (third, second)
    given = rotate(overlap_s=0, signing_secret=GIVEN)
    assert keys() == (given,) == (first,)
    for _ in range(9):
        rotate(overlap_s=60)
    assert len(keys()) == 10
    full = client.post(f"{HOOKS}/orders/rotate-secret", json={"overlap_s": 60})
    error(full, 409, "AlreadyExistsError")
    error(
        client.post(f"{HOOKS}/orders/rotate-secret", json={"overlap_s": -1}), 422, "ValidationError"
    )


def test_repeated_requests_have_one_effect(client: httpx.Client, tenants: tuple[str, str]) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post(HOOKS, json=body(), headers=headers)
    again = client.post(HOOKS, json=body(), headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert made(again) == made(first)
    elsewhere = client.post(HOOKS, json=body(), headers={**headers, "X-Namespace": tenants[0]})
    assert made(elsewhere)["namespace_id"] == tenants[0]
    path = f"{HOOKS}/{made(first)['webhook_id']}"
    made(client.put(path, json=body(headers={"X-Team": "another's"})))
    again = client.post(HOOKS, json=body(), headers=headers)
    assert config_of(made(again)) == config_of(made(first))
    tries = [made(client.post(f"{path}/test", json={}, headers=headers)) for _ in range(2)]
    assert tries[0] == tries[1]
    rotated = [made(client.post(f"{path}/rotate-secret", headers=headers)) for _ in range(2)]
    assert config_of(rotated[0]) == config_of(rotated[1]) != config_of(made(first))
    late = error(client.post(HOOKS, json=body(), headers=headers), 409, "AlreadyExistsError")
    assert "answered before" in late["message"]
    made(client.delete(path))
    late = error(client.post(HOOKS, json=body(), headers=headers), 409, "AlreadyExistsError")
    assert "deleted" in late["message"]


def test_a_disabled_webhook_is_told_once_and_opened_by_its_owner(
    client: httpx.Client, stores: Stores, database: Database[Document]
) -> None:
    webhook = make(client)
    post, webhook_id = stores.post, webhook["webhook_id"]
    path = f"{HOOKS}/{webhook_id}"
    at = datetime.now(UTC)
    post.mailboxes.ring([Ring(webhook_id, Channel.WEBHOOK, at)])
    troubles = {"consecutive_failures": 7, "failing_since": at}
    database["mailboxes"].update_one({}, {"$set": {"health": troubles}})
    assert made(client.get(path))["delivery_health"]["consecutive_failures"] == 7
    assert [post.webhooks.disable(webhook_id, "It answered 410.") for _ in range(2)] == [
        True,
        False,
    ]
    (event,) = database["outbox"].find()
    assert (event["event_type"], event["subject"]["id"]) == ("endpoint.disabled", webhook_id)
    default = made(client.get("/v1/namespaces/default"))["namespace_id"]
    assert (event["namespace_id"], event["metadata"]["url"]) == (default, URL)
    read = made(client.get(path))
    assert (read["is_active"], read["status"]) == (True, "ARCHIVED")
    assert read["disabled"]["reason"] == "It answered 410."
    assert post.webhooks.destination(webhook_id) is None
    refused = error(client.post(f"{path}/test", json={}), 409, "AlreadyExistsError")
    assert "410" in refused["message"]
    assert "is_active" in refused["message"]

    renamed = made(client.put(path, json=body("renamed")))
    assert renamed["disabled"] is not None  # nothing was said of is_active
    opened = made(client.put(path, json={**body(), "is_active": True}))
    assert (opened["status"], opened["disabled"]) == ("ACTIVE", None)
    assert opened["delivery_health"]["consecutive_failures"] == 0
    closed = made(client.put(path, json={**body(), "is_active": False}))
    assert (closed["status"], closed["disabled"]) == ("ARCHIVED", None)
    assert not any(each.is_open for each in post.webhooks.subscriptions())
    assert not post.webhooks.disable("wh_unknown", "It is gone.")


def test_a_namespace_has_one_secret_for_callbacks(
    client: httpx.Client, stores: Stores, tenants: tuple[str, str], database: Database[Document]
) -> None:
    path = f"{HOOKS}/callback-secret"
    first, other = (
        made(client.get(path, headers={"X-Namespace": each}))["signing_secret"] for each in tenants
    )
    assert first != other
    headers = {"X-Namespace": tenants[0], "Idempotency-Key": "once"}
    rotated = [made(client.post(f"{path}/rotate", headers=headers)) for _ in range(2)]
    assert rotated[0] == rotated[1] == made(client.get(path, headers=headers))
    second = rotated[0]["signing_secret"]
    keys = stores.post.callback_secrets.keys
    assert keys(tenants[0]) == (read_secret(second), read_secret(first))
    assert keys(tenants[1]) == (read_secret(other),)
    end_now: Mapping[str, Any] = {"X-Namespace": tenants[0]}
    third = made(client.post(f"{path}/rotate", json={"overlap_s": 0}, headers=end_now))
    assert keys(tenants[0]) == (read_secret(third["signing_secret"]),)
    assert keys("ns_deleted") == ()  # what nobody could verify is not signed
    assert database["callback_secrets"].count_documents({}) == 2
    stored = str(list(database["callback_secrets"].find()))
    assert not any(each in stored for each in (first, second, other))


def test_another_key_opens_nothing(
    client: httpx.Client, stores: Stores, webhooks: WebhookStore, database: Database[Document]
) -> None:
    webhook = make(client)
    settings = stores.settings.model_copy(update={"secret_key": None})
    closed = Post.open(database, settings)
    assert closed.webhooks.get("orders", namespace_ids=None).webhook_id == webhook["webhook_id"]
    other = stores.settings.model_copy(update={"secret_key": stores.settings.secret_key})
    assert Post.open(database, other).webhooks.destination(webhook["webhook_id"]) is not None
    strange = WebhookStore(database, Seal(SecretStr("y" * 40)))
    with pytest.raises(SealedElsewhereError, match="WAYBILL_SECRET_KEY"):
        strange.destination(webhook["webhook_id"])
    # Rotated and with its headers set anew, the endpoint is served again.
    found, _ = strange.rotate(
        strange.get("orders", namespace_ids=None), make_key(), overlap=timedelta(days=1)
    )
    said = Registration("orders", ["*"], URL, {"X-Team": "new"}, 10.0, True)
    strange.change(found, said, opens=False)
    destination = strange.destination(webhook["webhook_id"])
    assert destination is not None
    assert (len(destination.keys), destination.headers) == (1, {"X-Team": "new"})
    # Where there are no headers, the rotation is enough.
    strange.change(found, replace(said, headers={}), opens=False)
    rotated, _ = webhooks.rotate(found, make_key(), overlap=timedelta(0))
    destination = webhooks.destination(rotated.webhook_id)
    assert destination is not None
    assert destination.headers == {}


def test_a_server_without_a_key_says_so(settings: Settings) -> None:
    api, plain = create_app(settings.model_copy(update={"secret_key": None})), f"sk_{'x' * 32}"
    headers = {"Authorization": f"Bearer {plain}"}
    with serving(api) as url, httpx.Client(base_url=url, headers=headers) as client:
        api.state.stores.keys.register(plain, "test", Permission.ADMIN)
        for response in (
            client.post(HOOKS, json=body()),
            client.get(f"{HOOKS}/callback-secret"),
        ):
            found = error(response, 503, "ServiceUnavailableError")
            assert "WAYBILL_SECRET_KEY" in found["message"]
        assert made(client.get(HOOKS))["results"] == []
