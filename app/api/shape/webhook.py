"""Webhooks and their deliveries as answers have them."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.shape.page import CountedPage, Page, page_example
from app.deliveries.attempt import Outcome
from app.deliveries.delivery import ErrorKind
from app.http.answer import Answer, Json, Time
from app.http.example import example

Count = Annotated[int, Field(ge=0)]
EndedStatus = Literal["delivered", "exhausted", "refused", "skipped"]
DeliveryStatus = Literal["pending", "sending"] | EndedStatus

CONFIGS: Json = {
    "url": "https://example.com/hooks",
    "headers": {"X-Team": "redacted"},
    "timeout": 10.0,
    "signing_secret": "redacted",
}
EXAMPLE: Json = {
    "webhook_id": "wh_0196b1c0f5e2d9a7",
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "webhook_name": "orders",
    "event_types": ["task.completed", "task.failed"],
    "channels": [{"channel": "webhook", "configs": CONFIGS}],
    "is_active": True,
    "status": "ACTIVE",
    "disabled": None,
    "delivery_health": {
        "consecutive_failures": 0,
        "failing_since": None,
        "last_success_at": "2026-01-31T12:00:00.000Z",
        "last_failure_at": None,
        "paused_until": None,
        "is_quarantined": False,
        "open": 0,
        "exhausted": 0,
    },
    "secret_made_at": "2026-01-31T12:00:00.000Z",
    "overlap_ends_at": None,
    "created_at": "2026-01-31T12:00:00.000Z",
    "created_by": "key:admin",
    "updated_at": "2026-01-31T12:00:00.000Z",
}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_EXAMPLE: Json = {
    **EXAMPLE,
    "channels": [
        {
            "channel": "webhook",
            "configs": {**CONFIGS, "headers": {"X-Team": "web"}, "signing_secret": SECRET},
        }
    ],
}
DELIVERY_EXAMPLE: Json = {
    "delivery_id": "dlv_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "webhook_id": "wh_0196b1c0f5e2d9a7",
    "url": None,
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "event_id": "evt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "event_type": "task.completed",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "sequence": 3,
    "status": "exhausted",
    "due_at": None,
    "attempt_count": 1,
    "replay_count": 0,
    "error": "The endpoint answered 500.",
    "error_kind": "status",
    "status_code": 500,
    "latency_ms": 31,
    "last_attempt_at": "2026-01-31T12:00:00.000Z",
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.031Z",
    "ended_at": "2026-01-31T12:00:00.031Z",
    "expires_at": "2026-03-02T12:00:00.031Z",
}
WHOLE_EXAMPLE: Json = {
    **DELIVERY_EXAMPLE,
    "body": {
        "event_id": "evt_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "event_type": "task.completed",
        "occurred_at": "2026-01-31T12:00:00.000Z",
        "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "subject": {"type": "task", "id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77"},
        "metadata": {"sequence": 3},
        "cache_scope": {"scope": "key", "key": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77"},
    },
    "attempts": [
        {
            "number": 1,
            "started_at": "2026-01-31T12:00:00.000Z",
            "ended_at": "2026-01-31T12:00:00.031Z",
            "worker": "webhooks-1@host",
            "outcome": "failed",
            "status_code": 500,
            "latency_ms": 31,
            "error_kind": "status",
            "error": "The endpoint answered 500.",
            "request_headers": {"webhook-id": "evt_0196b1c0a4e87d11b8a40c3f5e2d9a77"},
            "response_headers": {"content-type": "text/plain"},
            "response_body": "Something went wrong",
        }
    ],
}


class WebhookConfig(Answer):
    """Where deliveries go. The values of headers, and the secret, are shown once."""

    url: str
    headers: dict[str, str]
    timeout: float
    signing_secret: str


class WebhookChannel(Answer):
    """The one way to the endpoint."""

    channel: Literal["webhook"]
    configs: WebhookConfig


class WebhookDisabled(Answer):
    """Since when nothing is sent, and why; `is_active` true ends it."""

    at: Time
    reason: str


class DeliveryHealth(Answer):
    """How the endpoint does; deliveries are counted where one webhook is read, to 10,000."""

    consecutive_failures: Count
    failing_since: Time | None
    last_success_at: Time | None
    last_failure_at: Time | None
    paused_until: Time | None
    is_quarantined: bool
    open: Count | None
    exhausted: Count | None


class Webhook(Answer):
    """One webhook; ARCHIVED while nothing is sent to it. Without a namespace it is told of events
    in all of them.
    """

    model_config = example(EXAMPLE)

    webhook_id: str
    namespace_id: str | None
    webhook_name: str
    event_types: list[str]
    channels: list[WebhookChannel]
    is_active: bool
    status: Literal["ACTIVE", "ARCHIVED"]
    disabled: WebhookDisabled | None
    delivery_health: DeliveryHealth
    secret_made_at: Time
    overlap_ends_at: Time | None
    created_at: Time
    created_by: str
    updated_at: Time


class NewWebhook(Webhook):
    """One webhook with its secret and, once it is made, the values of its headers: no read has."""

    model_config = example(NEW_EXAMPLE)


class WebhookPage(CountedPage[Webhook]):
    """A page of webhooks; `total` repeats `total_count`."""

    model_config = example(page_example(EXAMPLE, total_count=1, total=1))

    total: Count


class Delivery(Answer):
    """One event on its way to a webhook, or to the `url` that a task named; `due_at` is there until
    it has ended.
    """

    model_config = example(DELIVERY_EXAMPLE)

    delivery_id: str
    webhook_id: str | None
    url: str | None
    namespace_id: str
    event_id: str
    event_type: str
    task_id: str | None
    sequence: int | None
    status: DeliveryStatus
    due_at: Time | None
    attempt_count: Count
    replay_count: Count
    error: str | None
    error_kind: ErrorKind | None
    status_code: int | None
    latency_ms: Annotated[float, Field(ge=0)] | None
    last_attempt_at: Time | None
    created_at: Time
    updated_at: Time
    ended_at: Time | None
    expires_at: Time | None


class DeliveryAttempt(Answer):
    """One request and what came of it; without an outcome it is under way."""

    number: Annotated[int, Field(ge=1)]
    started_at: Time
    ended_at: Time | None
    worker: str
    outcome: Outcome | None
    status_code: int | None
    latency_ms: Annotated[float, Field(ge=0)] | None
    error_kind: ErrorKind | None
    error: str | None
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    response_body: str | None


class WholeDelivery(Delivery):
    """One delivery with what is sent and all its attempts."""

    model_config = example(WHOLE_EXAMPLE)

    body: Json
    attempts: list[DeliveryAttempt]


class DeliveryPage(Page[Delivery]):
    """A page of deliveries."""

    model_config = example(page_example(DELIVERY_EXAMPLE))


class ReplayedDeliveries(Answer):
    """How many are sent again, when the last of them is due, and how many are left (to 10,000)."""

    model_config = example(
        {"replayed": 500, "remaining": 120, "last_due_at": "2026-01-31T12:00:09.000Z"}
    )

    replayed: Count
    remaining: Count
    last_due_at: Time | None


class PurgedDeliveries(Answer):
    """How many were forgotten."""

    model_config = example({"purged": 42})

    purged: Count


class CallbackSecret(Answer):
    """The secret that signs a namespace's callbacks."""

    model_config = example(
        {
            "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "signing_secret": SECRET,
            "secret_made_at": "2026-01-31T12:00:00.000Z",
            "overlap_ends_at": None,
        }
    )

    namespace_id: str
    signing_secret: str
    secret_made_at: Time
    overlap_ends_at: Time | None
