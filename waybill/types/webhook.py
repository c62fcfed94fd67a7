"""Webhooks, and the log of what was sent to them."""

from typing import Literal, TypeAlias, TypedDict

from waybill.types.json import JsonObject

DeliveryStatus: TypeAlias = Literal[
    "pending", "sending", "delivered", "exhausted", "refused", "skipped"
]
ErrorKind: TypeAlias = Literal[
    "dns",
    "connect",
    "tls",
    "timeout",
    "refused_address",
    "status",
    "protocol",
    "handler",
    "unknown",
]


class WebhookConfig(TypedDict):
    """Where deliveries go; `signing_secret` and the values of headers are shown once."""

    url: str
    headers: dict[str, str]
    timeout: float  # seconds
    signing_secret: str


class WebhookChannel(TypedDict):
    """The one way to the endpoint."""

    channel: Literal["webhook"]
    configs: WebhookConfig


class WebhookDisabled(TypedDict):
    """Since when nothing is sent, and why."""

    at: str
    reason: str


class DeliveryHealth(TypedDict):
    """How the endpoint does; deliveries are counted where one webhook is read."""

    consecutive_failures: int
    failing_since: str | None
    last_success_at: str | None
    last_failure_at: str | None
    paused_until: str | None
    is_quarantined: bool
    open: int | None
    exhausted: int | None


class Webhook(TypedDict):
    """An endpoint that is told of events; ARCHIVED while nothing is sent to it."""

    webhook_id: str
    namespace_id: str | None  # null is told of events in all of them
    webhook_name: str
    event_types: list[str]
    channels: list[WebhookChannel]
    is_active: bool
    status: Literal["ACTIVE", "ARCHIVED"]
    disabled: WebhookDisabled | None
    delivery_health: DeliveryHealth
    secret_made_at: str
    overlap_ends_at: str | None  # until then the secret before this one signs as well
    created_at: str
    created_by: str
    updated_at: str


class Delivery(TypedDict):
    """One event on its way to the endpoint; its last attempt stands for all."""

    delivery_id: str
    webhook_id: str | None
    url: str | None  # that a task named, in place of a webhook
    namespace_id: str
    event_id: str
    event_type: str
    task_id: str | None
    sequence: int | None  # orders the events of one task
    status: DeliveryStatus
    due_at: str | None
    attempt_count: int
    replay_count: int
    error: str | None
    error_kind: ErrorKind | None
    status_code: int | None
    latency_ms: float | None
    last_attempt_at: str | None
    created_at: str
    updated_at: str
    ended_at: str | None
    expires_at: str | None


class DeliveryAttempt(TypedDict):
    """One request and what came of it; without an outcome it is under way."""

    number: int
    started_at: str
    ended_at: str | None
    worker: str
    outcome: Literal["delivered", "failed", "unknown"] | None
    status_code: int | None
    latency_ms: float | None
    error_kind: ErrorKind | None
    error: str | None
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    response_body: str | None


class WholeDelivery(Delivery):
    """One delivery with what is sent and all its attempts."""

    body: JsonObject
    attempts: list[DeliveryAttempt]


class ReplayedDeliveries(TypedDict):
    """How many are sent again, when the last of them is due, and how many are left."""

    replayed: int
    remaining: int
    last_due_at: str | None


class CallbackSecret(TypedDict):
    """The secret that signs a namespace's callbacks."""

    namespace_id: str
    signing_secret: str
    secret_made_at: str
    overlap_ends_at: str | None
