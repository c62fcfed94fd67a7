"""What requests say of webhooks, in the contract's words and in the public client's."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from app.api.webhook_word import Words
from app.egress.guard import EgressRefusedError, Guard
from app.egress.target import MAX_CHARACTERS
from app.errors import InvalidError
from app.events.type import EVERY, SUBSCRIBABLE
from app.http.body import Body, Flag, Integer, JsonObject, Name
from app.http.example import example
from app.http.listing import ListBody
from app.webhooks.channel import Channel
from app.webhooks.endpoint import Registration, Webhook
from app.webhooks.header import MAX_HEADERS, header_flaw
from app.webhooks.keyring import DEFAULT_OVERLAP, MAX_OVERLAP
from app.webhooks.secret import REDACTED, make_key, read_secret
from app.webhooks.url import require_callable

MAX_TYPES: Final = 50
DEFAULT_TIMEOUT_S: Final = 10.0
RESERVED: Final = frozenset({"list", "callback-secret", "deliveries"})
TYPES: Final = (*(str(each) for each in SUBSCRIBABLE), EVERY)
AT: Final = ("body", "channels", 0, "configs")

Types = Annotated[
    list[Annotated[str, Field(max_length=100, json_schema_extra={"enum": list(TYPES)})]],
    Field(min_length=1, max_length=MAX_TYPES, json_schema_extra={"uniqueItems": True}),
]
Headers = Annotated[dict[str, str], Field(max_length=MAX_HEADERS)]
SigningSecret = Annotated[
    str,
    Field(
        max_length=100,
        description=f"whsec_ and 24 to 64 bytes in base64; without it one is made. `{REDACTED}`, "
        "as answers have it, keeps the one that is there.",
    ),
]
Unsupported = Annotated[None, Field(description="Not done here: leave it out.")]
# Answers have them, and what was read may be sent back as it is.
AsRead = Annotated[object, Field(description="As answers have it; it changes nothing.")]


class EndpointBody(Body):
    """Where deliveries go, and how."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
    headers: Headers | None = None
    timeout: Annotated[float, Field(ge=1, le=60, strict=True)] | None = None
    signing_secret: SigningSecret | None = None
    payload_template: Unsupported = None


class ChannelBody(Body):
    """One way to the endpoint."""

    channel: Literal[Channel.WEBHOOK]
    configs: EndpointBody


CHANNELS: Final[JsonObject] = {
    "channels": [
        {"channel": "webhook", "configs": {"url": "https://example.com/hooks", "timeout": 10}}
    ]
}


class WebhookBody(Body):
    """What an owner says of a webhook."""

    webhook_name: Name
    event_types: Types
    channels: Annotated[list[ChannelBody], Field(min_length=1, max_length=1)]
    is_active: Flag | None = None
    # What the public client has beside.
    resource_types: Annotated[list[str], Field(max_length=0)] | None = None

    @property
    def config(self) -> EndpointBody:
        """The one channel's."""
        return self.channels[0].configs


class CreateWebhook(WebhookBody):
    """A webhook to be."""

    model_config = example(
        {"webhook_name": "orders", "event_types": ["task.completed", "task.failed"], **CHANNELS}
    )

    # The public client may send these, as null.
    webhook_id: Unsupported = None
    internal_id: Unsupported = None
    delivery_health: Unsupported = None
    created_at: Unsupported = None
    updated_at: Unsupported = None

    def key(self) -> bytes:
        """The bytes of the secret that is given, or of a new one."""
        return read_key(self.config.signing_secret, *AT)


class PutWebhook(WebhookBody):
    """All that a webhook is to say; only `is_active` stays as it is where it is left out."""

    model_config = example({"webhook_name": "payments", "event_types": ["*"], **CHANNELS})

    webhook_id: AsRead = None
    internal_id: AsRead = None
    namespace_id: AsRead = None
    status: AsRead = None
    disabled: AsRead = None
    delivery_health: AsRead = None
    secret_made_at: AsRead = None
    overlap_ends_at: AsRead = None
    created_at: AsRead = None
    created_by: AsRead = None
    updated_at: AsRead = None


class ListWebhooks(ListBody):
    """What a list of webhooks takes."""

    model_config = example({"event_type": "task.completed"})

    event_type: Annotated[str, Field(max_length=100)] | None = None
    is_active: Flag | None = None

    @property
    def shorthand(self) -> Mapping[str, object]:
        return {"event_type": self.event_type, "is_active": self.is_active}


class RotateSecret(Body):
    """How long the secrets so far sign as well, and the new one where it is not to be made."""

    model_config = example({"overlap_s": 3600})

    overlap_s: Integer = Field(
        int(DEFAULT_OVERLAP.total_seconds()), ge=0, le=int(MAX_OVERLAP.total_seconds())
    )
    signing_secret: SigningSecret | None = None


def registration(
    body: WebhookBody, guard: Guard, headers: Callable[[], Mapping[str, str]], *, is_active: bool
) -> Registration:
    """What is asked for, checked: `InvalidError` at the place that is wrong. `headers` gives those
    that are there, of which a body may repeat a name with the value `redacted`.
    """
    _check_name(body.webhook_name)
    _check_types(body.event_types)
    config = body.config
    try:
        require_callable(config.url, guard)
    except (ValueError, EgressRefusedError) as exc:
        raise InvalidError.at(*AT, "url", message=str(exc)) from exc
    return Registration(
        webhook_name=body.webhook_name,
        event_types=tuple(body.event_types),
        url=config.url,
        headers=_headers(config.headers or {}, headers),
        timeout_s=DEFAULT_TIMEOUT_S if config.timeout is None else config.timeout,
        is_active=is_active,
    )


def as_shown(body: PutWebhook, webhook: Webhook, words: Words) -> PutWebhook:
    """The body with the types that there are, where it repeats what its client is shown of them."""
    if list(body.event_types) != list(words(webhook.event_types)):
        return body
    return body.model_copy(update={"event_types": list(webhook.event_types)})


def read_key(secret: str | None, *place: str | int) -> bytes:
    """The bytes of a secret that was sent, or of a new one; `InvalidError` at its place."""
    if secret is None:
        return make_key()
    try:
        return read_secret(secret)
    except ValueError as exc:
        raise InvalidError.at(*place, "signing_secret", message=str(exc)) from exc


def check_kept(body: PutWebhook) -> None:
    """`InvalidError` for a PUT with a secret of its own."""
    if body.config.signing_secret not in (None, REDACTED):
        message = "a secret is changed by rotate-secret, so that receivers can follow"
        raise InvalidError.at(*AT, "signing_secret", message=message)


def _check_name(name: str) -> None:
    if name.startswith("wh_"):
        message = "names that begin with 'wh_' are ids: take another name"
        raise InvalidError.at("body", "webhook_name", message=message)
    if name in RESERVED:
        message = f"'{name}' is reserved: take another name"
        raise InvalidError.at("body", "webhook_name", message=message)


def _check_types(event_types: list[str]) -> None:
    for index, each in enumerate(event_types):
        if each not in TYPES:
            message = f"there is no event {each[:100]!r}: the events are {', '.join(TYPES)}"
            raise InvalidError.at("body", "event_types", index, message=message)
        if each in event_types[:index]:
            message = f"'{each}' is named twice"
            raise InvalidError.at("body", "event_types", index, message=message)


def _headers(asked: Mapping[str, str], read: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """The headers with the values that `redacted` stands for, which are read only for it."""
    there = read() if REDACTED in asked.values() else {}
    for name, value in asked.items():
        if value == REDACTED and name not in there:
            message = f"there is no header '{name[:100]}' whose value could be kept: send one"
            raise InvalidError.at(*AT, "headers", message=message)
    found = {name: there[name] if v == REDACTED else v for name, v in asked.items()}
    if flaw := header_flaw(found):
        raise InvalidError.at(*AT, "headers", message=flaw)
    return found
