"""A webhook as a value: an endpoint that somebody registered, as it is stored and as it is shown.

A stored webhook:

    {_id: "wh_…", made_as, namespace_id (None: all of the organization), webhook_name,
     event_types: […], url, header_names: […], headers (sealed), timeout_s, is_active,
     disabled: {at, reason} | None, keyring, created_at, created_by, updated_at}

A deleted one keeps {_id, namespace_id, removed_at, expire_at} as long as its log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from app.database import Document
from app.query.field import Field, FieldSet, Kind
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum
from app.webhooks.channel import Channel
from app.webhooks.destination import Subscription
from app.webhooks.keyring import Keyring
from app.webhooks.secret import REDACTED

FIELDS: Final = FieldSet(
    {
        "webhook_id": Field("_id", nullable=False),
        "webhook_name": Field("webhook_name", sortable=True, nullable=False),
        "namespace_id": Field("namespace_id"),
        "event_type": Field("event_types", nullable=False),
        "event_types": Field("event_types", nullable=False),
        "url": Field("url", nullable=False),
        "is_active": Field("is_active", Kind.BOOLEAN, nullable=False),
        "disabled_at": Field("disabled.at", Kind.DATETIME),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME, nullable=False),
    },
    searchable=("webhook_name", "url"),
)


@dataclass(frozen=True, slots=True)
class Registration:
    """What an owner says of a webhook. `timeout_s` bounds each attempt as a whole."""

    webhook_name: str
    event_types: Sequence[str]
    url: str
    headers: Mapping[str, str]
    timeout_s: float
    is_active: bool


@dataclass(frozen=True, slots=True)
class Disabled:
    """Since when nothing is sent to it, and why."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook, without what is sealed; its mailbox has its id."""

    webhook_id: str
    namespace_id: str | None
    webhook_name: str
    event_types: tuple[str, ...]
    url: str
    header_names: tuple[str, ...]
    sealed_headers: bytes
    timeout_s: float
    is_active: bool
    disabled: Disabled | None
    keyring: Keyring
    created_at: datetime
    created_by: str
    updated_at: datetime

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored webhook."""
        disabled = stored["disabled"]
        return cls(
            webhook_id=stored["_id"],
            namespace_id=stored["namespace_id"],
            webhook_name=stored["webhook_name"],
            event_types=tuple(stored["event_types"]),
            url=stored["url"],
            header_names=tuple(stored["header_names"]),
            sealed_headers=stored["headers"],
            timeout_s=stored["timeout_s"],
            is_active=stored["is_active"],
            disabled=None if disabled is None else Disabled(**disabled),
            keyring=Keyring.from_document(stored["keyring"]),
            created_at=stored["created_at"],
            created_by=stored["created_by"],
            updated_at=stored["updated_at"],
        )

    @property
    def is_open(self) -> bool:
        """Whether anything is sent to it."""
        return self.is_active and self.disabled is None

    @property
    def subscription(self) -> Subscription:
        """Which events it is told of."""
        return Subscription(
            self.webhook_id,
            self.namespace_id,
            frozenset(self.event_types),
            self.is_open,
            self.created_at,
        )

    def to_json(self, revealed: "Revealed | None" = None) -> JsonObject:
        """Without its secret and its headers' values, unless they are to be shown this once."""
        shown = revealed or Revealed(REDACTED, None)
        hidden = dict.fromkeys(self.header_names, REDACTED)
        configs = {
            "url": self.url,
            "headers": hidden if shown.headers is None else dict(shown.headers),
            "timeout": self.timeout_s,
            "signing_secret": shown.signing_secret,
        }
        disabled = self.disabled
        return {
            "webhook_id": self.webhook_id,
            "namespace_id": self.namespace_id,
            "webhook_name": self.webhook_name,
            "event_types": list(self.event_types),
            "channels": [{"channel": Channel.WEBHOOK.value, "configs": configs}],
            "is_active": self.is_active,
            "status": TaskStatusEnum.ACTIVE if self.is_open else TaskStatusEnum.ARCHIVED,
            "disabled": disabled and {"at": rfc3339(disabled.at), "reason": disabled.reason},
            "secret_made_at": rfc3339(self.keyring.newest.made_at),
            "overlap_ends_at": rfc3339(self.keyring.overlap_ends_at),
            "created_at": rfc3339(self.created_at),
            "created_by": self.created_by,
            "updated_at": rfc3339(self.updated_at),
        }


@dataclass(frozen=True, slots=True)
class Revealed:
    """What only the answer to a create shows, or, without the headers, that to a rotation."""

    signing_secret: str
    headers: Mapping[str, str] | None
