"""Webhooks and their deliveries as answers have them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from app.api.webhook_word import Words
from app.database import Document
from app.deliveries.delivery import OPEN
from app.deliveries.health import Health
from app.http.body import JsonObject
from app.query.page import Page
from app.receipts.receipt import rfc3339
from app.stores import Stores
from app.webhooks.endpoint import Revealed, Webhook


def webhook_json(
    stores: Stores, webhook: Webhook, words: Words, revealed: Revealed | None = None
) -> JsonObject:
    """One webhook, with how its endpoint does and what lies there for it."""
    post = stores.post
    health = post.mailboxes.health([webhook.webhook_id]).get(webhook.webhook_id)
    return {
        **webhook.to_json(revealed),
        "event_types": list(words(webhook.event_types)),
        "delivery_health": _health_json(health, post.log.counts(webhook.webhook_id)),
    }


def webhook_page(stores: Stores, page: Page[Webhook], words: Words) -> Page[JsonObject]:
    """A page of webhooks; deliveries are counted for a single one only."""
    healths = stores.post.mailboxes.health([each.webhook_id for each in page.results])
    return page.map(
        lambda each: {
            **each.to_json(),
            "event_types": list(words(each.event_types)),
            "delivery_health": _health_json(healths.get(each.webhook_id), {}),
        }
    )


def delivery_json(stored: Document) -> JsonObject:
    """One delivery as a list has it: its last attempt stands for all."""
    attempts: Sequence[Document] = stored["attempts"]
    last = attempts[-1] if attempts else {}
    return {
        "delivery_id": stored["_id"],
        "webhook_id": stored["webhook_id"],
        "url": stored["url"],
        "namespace_id": stored["namespace_id"],
        "event_id": stored["event_id"],
        "event_type": stored["event_type"],
        "task_id": stored["task_id"],
        "sequence": stored["sequence"],
        "status": stored["status"],
        "due_at": rfc3339(stored["due_at"]) if stored["status"] in OPEN else None,
        "attempt_count": stored["attempt_count"],
        "replay_count": stored["round"],
        "error": stored["error"],
        "error_kind": last.get("error_kind"),
        "status_code": last.get("status_code"),
        "latency_ms": last.get("latency_ms"),
        "last_attempt_at": rfc3339(last.get("started_at")),
        "created_at": rfc3339(stored["created_at"]),
        "updated_at": rfc3339(stored["updated_at"]),
        "ended_at": rfc3339(stored["ended_at"]),
        "expires_at": rfc3339(stored.get("expire_at")),
    }


def whole_delivery_json(stored: Document) -> JsonObject:
    """One delivery with what is sent, and all its attempts."""
    return {
        **delivery_json(stored),
        "body": json.loads(stored["body"]),
        "attempts": [_attempt_json(each) for each in stored["attempts"]],
    }


def _attempt_json(attempt: Document) -> JsonObject:
    return {
        key: rfc3339(value) if isinstance(value, datetime) else value
        for key, value in attempt.items()
    }


def _health_json(health: Health | None, counts: Mapping[str, int]) -> JsonObject:
    found = health or Health()
    return {
        "consecutive_failures": found.consecutive_failures,
        "failing_since": rfc3339(found.failing_since),
        "last_success_at": rfc3339(found.last_success_at),
        "last_failure_at": rfc3339(found.last_failure_at),
        "paused_until": rfc3339(found.paused_until),
        "is_quarantined": found.is_quarantined,
        "open": counts.get("open"),
        "exhausted": counts.get("exhausted"),
    }
