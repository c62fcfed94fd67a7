"""The log of a webhook's deliveries over HTTP: tested, read, sent again, forgotten."""

from datetime import UTC, datetime, timedelta

import httpx
from pymongo.database import Database

from app.access.permission import Permission
from app.database import Document
from app.deliveries.attempt import MAX_ATTEMPTS
from app.deliveries.delivery import ENDED
from app.deliveries.log import in_stage
from app.deliveries.mailbox import Turn
from app.stores import Stores
from app.webhooks.channel import Channel
from tests.integration.resources import ClientMaker, Json, error, made
from tests.integration.test_idempotency import forget_answers
from tests.integration.webhooks import (
    HOOKS,
    body,
    break_mailboxes,
    end,
    make,
    try_out,
)


def test_a_test_is_a_delivery_like_any_other(
    client: httpx.Client, stores: Stores, database: Database[Document]
) -> None:
    webhook = make(client)
    delivery = try_out(client, webhook)
    assert (delivery["status"], delivery["event_type"]) == ("pending", "webhook.test")
    assert delivery["body"]["event_id"] == delivery["event_id"]
    assert delivery["body"]["metadata"]["webhook_name"] == "orders"
    turn = Turn("t", "w", timedelta(seconds=30))
    (mailbox,) = stores.post.mailboxes.take(turn, limit=5, channels=[Channel.WEBHOOK])
    assert mailbox.mailbox_id == webhook["webhook_id"]
    (due,) = stores.post.deliveries.due(
        mailbox.mailbox_id, now=stores.post.mailboxes.now(), limit=5
    )
    stores.post.deliveries.begin([due], turn, at=datetime.now(UTC))
    read = made(client.get(f"{HOOKS}/orders/deliveries/{delivery['delivery_id']}"))
    (attempt,) = read["attempts"]
    assert (read["status"], attempt["worker"], attempt["outcome"]) == ("sending", "w", None)
    assert made(client.get(f"{HOOKS}/orders"))["delivery_health"]["open"] == 1


def test_a_log_is_listed_by_filters(client: httpx.Client, database: Database[Document]) -> None:
    webhook, other = make(client), make(client, "other")
    first, second = try_out(client, webhook), try_out(client, webhook)
    try_out(client, other)
    attempt = {"outcome": "failed", "error_kind": "timeout", "response_body": "long"}
    end(database, first, "exhausted", attempts=[attempt])

    def found(**asked: object) -> list[str]:
        page = made(client.post(f"{HOOKS}/orders/deliveries/list", json=asked))
        assert not any({"body", "attempts"} & each.keys() for each in page["results"])
        return [each["delivery_id"] for each in page["results"]]

    one, two = first["delivery_id"], second["delivery_id"]
    assert found() == [two, one]
    assert found(status="exhausted") == found(error_kind="timeout") == [one]
    assert found(event_id=second["event_id"]) == found(filters={"status": "pending"}) == [two]
    assert found(event_type="task.completed") == []
    later = {"field": "created_at", "operator": "gt", "value": second["created_at"]}
    assert found(filters=later) == []
    refused = client.post(f"{HOOKS}/orders/deliveries/list", json={"status": "done"})
    error(refused, 422, "ValidationError")
    health = made(client.get(f"{HOOKS}/orders"))["delivery_health"]
    assert (health["open"], health["exhausted"]) == (1, 1)
    rows = database["deliveries"]
    for plan in (
        rows.find({"webhook_id": "wh_1"}).sort({"created_at": -1, "_id": -1}).explain(),
        rows.find(in_stage("wh_1", list(ENDED))).sort("created_at", 1).explain(),
    ):
        shown = str(plan["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in shown
        assert "'SORT'" not in shown


def test_one_delivery_is_sent_again(client: httpx.Client, database: Database[Document]) -> None:
    delivery = try_out(client, make(client))
    path = f"{HOOKS}/orders/deliveries/{delivery['delivery_id']}/replay"
    assert made(client.post(path))["replay_count"] == 0  # it has not ended
    end(database, delivery, "exhausted", round_attempts=10, error="It answered 500.")
    database["mailboxes"].delete_many({})
    headers = {"Idempotency-Key": "once"}
    again = made(client.post(path, headers=headers))
    assert (again["status"], again["replay_count"], again["error"]) == ("pending", 1, None)
    assert (again["ended_at"], again["expires_at"]) == (None, None)
    stored = database["deliveries"].find_one({}) or {}
    assert (stored["round_attempts"], stored["body"]) == (0, stored["body"])
    assert again["body"] == delivery["body"]
    assert (database["mailboxes"].find_one({}) or {})["due_at"] == stored["due_at"]
    end(database, delivery, "delivered")
    forget_answers(database)
    assert made(client.post(path, headers=headers))["status"] == "delivered"
    end(database, delivery, "exhausted", attempt_count=MAX_ATTEMPTS)
    error(client.post(path), 409, "AlreadyExistsError")
    made(client.put(f"{HOOKS}/orders", json={**body(), "is_active": False}))
    found = error(client.post(path), 409, "AlreadyExistsError")
    assert "is_active" in found["message"]


def test_many_are_sent_again_by_filter(
    client: httpx.Client, stores: Stores, database: Database[Document]
) -> None:
    delivery = try_out(client, make(client))
    kept = database["deliveries"].find_one({}) or {}
    ended = {**kept, "status": "skipped", "ended_at": kept["created_at"]}
    rows = [{**ended, "_id": f"dlv_{n:03}", "event_id": f"evt_{n:03}"} for n in range(120)]
    rows[7] |= {"status": "delivered"}
    rows[8] |= {"created_at": kept["created_at"] - timedelta(days=1)}
    database["deliveries"].insert_many(rows)
    path = f"{HOOKS}/orders/deliveries"

    def replay(**asked: object) -> Json:
        return made(client.post(f"{path}/replay", json=asked))

    assert replay(created_before=delivery["created_at"])["replayed"] == 1
    before = datetime.now(UTC)
    later = {"created_from": delivery["created_at"]}
    error(client.post(f"{path}/replay", json={"status": ["pending"]}), 422, "ValidationError")
    once = {"Idempotency-Key": "once"}
    for _ in range(2):
        asked = {**later, "limit": 50}
        first = made(client.post(f"{path}/replay", json=asked, headers=once))
        assert (first["replayed"], first["remaining"]) == (50, 68)
        forget_answers(database)
    some = replay(**later, limit=60)
    assert (some["replayed"], some["remaining"]) == (60, 8)
    # 50 in each second, in however many calls.
    assert datetime.fromisoformat(some["last_due_at"]) >= before + timedelta(seconds=1.9)
    due = database["deliveries"].distinct("due_at", {"round": 1})
    for at in due:
        second = {"round": 1, "due_at": {"$gte": at, "$lt": at + timedelta(seconds=1)}}
        assert database["deliveries"].count_documents(second) <= 50
    assert replay(status=["skipped", "refused"], event_type="webhook.test")["replayed"] == 8
    assert replay() == {"replayed": 0, "remaining": 0, "last_due_at": None}
    assert database["deliveries"].count_documents({"status": "pending", "round": 1}) == 119

    assert made(client.post(f"{path}/purge", json={"error_kind": "dns"}))["purged"] == 0
    assert made(client.post(f"{path}/purge", json={}))["purged"] == 1  # the one delivered
    assert database["deliveries"].count_documents({}) == 120


def test_nothing_is_due_that_nobody_would_look_at(
    client: httpx.Client, database: Database[Document]
) -> None:
    """Whatever is broken off midway: a delivery waits if its mailbox was rung, and only then."""
    delivery = try_out(client, make(client))
    end(database, delivery, "exhausted")
    before = list(database["deliveries"].find())
    break_mailboxes(database)
    log = f"{HOOKS}/orders/deliveries"
    for path in (
        f"{HOOKS}/orders/test",
        f"{log}/{delivery['delivery_id']}/replay",
        f"{log}/replay",
    ):
        error(client.post(path, json={}), 500, "InternalServerError")
        assert list(database["deliveries"].find()) == before


def test_a_deleted_webhook_leaves_its_log(
    client: httpx.Client, client_for: ClientMaker, stores: Stores, database: Database[Document]
) -> None:
    webhook = make(client)
    waiting, sending = try_out(client, webhook), try_out(client, webhook)
    under_way = {"$set": {"status": "sending"}}
    database["deliveries"].update_one({"_id": sending["delivery_id"]}, under_way)
    path = f"{HOOKS}/{webhook['webhook_id']}"
    made(client.delete(path))
    error(client.get(path), 404, "NotFoundError")
    error(client.delete(path), 404, "NotFoundError")
    error(client.post(f"{path}/test", json={}), 404, "NotFoundError")
    log = f"{path}/deliveries"
    ended = made(client.get(f"{log}/{waiting['delivery_id']}"))
    assert (ended["status"], ended["expires_at"] is None) == ("skipped", False)
    assert "deleted" in ended["error"]
    assert database["mailboxes"].count_documents({}) == 1  # its dispatcher ends the other
    replay = client.post(f"{log}/{waiting['delivery_id']}/replay")
    error(replay, 404, "NotFoundError")
    assert len(made(client.get(log))["results"]) == 2
    default = made(client.get("/v1/namespaces/default"))["namespace_id"]
    error(client_for(Permission.ADMIN, [default]).get(log), 404, "NotFoundError")
    end(database, sending, "delivered")
    stores.post.log.close(webhook["webhook_id"])
    assert database["mailboxes"].count_documents({}) == 0
    assert make(client)["webhook_id"] != webhook["webhook_id"]  # the name is free
