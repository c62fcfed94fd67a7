"""What tests of webhooks over HTTP share."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pymongo.database import Database

from app.database import Document
from tests.integration.resources import Json, made

HOOKS = "/v1/organizations/webhooks"
URL = "https://example.com/hooks"
GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def body(name: str = "orders", *types: str, **config: Any) -> Json:
    channel = {"channel": "webhook", "configs": {"url": URL, **config}}
    return {
        "webhook_name": name,
        "event_types": list(types or ("task.completed",)),
        "channels": [channel],
    }


def make(client: httpx.Client, name: str = "orders", *types: str, **config: Any) -> Json:
    return made(client.post(HOOKS, json=body(name, *types, **config)))


def config_of(webhook: Json) -> Json:
    (channel,) = webhook["channels"]
    found: Json = channel["configs"]
    return found


def try_out(client: httpx.Client, webhook: Json) -> Json:
    return made(client.post(f"{HOOKS}/{webhook['webhook_id']}/test", json={}))


def end(database: Database[Document], delivery: Json, status: str, **more: object) -> None:
    """As a dispatcher ends it."""
    now = datetime.now(UTC)
    ended = {"status": status, "ended_at": now, "expire_at": now + timedelta(days=30), **more}
    database["deliveries"].update_one({"_id": delivery["delivery_id"]}, {"$set": ended})


def pause(database: Database[Document], webhook_id: str, until: datetime) -> None:
    """As a dispatcher notes a `Retry-After`."""
    health = {"health": {"paused_until": until}, "channel": "webhook", "rings": 1}
    database["mailboxes"].update_one({"_id": webhook_id}, {"$set": health}, upsert=True)


def break_mailboxes(database: Database[Document]) -> None:
    """No ring is stored from now on."""
    database["mailboxes"].delete_many({})
    database.command("collMod", "mailboxes", validator={"never": {"$exists": True}})
