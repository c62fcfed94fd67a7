"""An event as a value, as it is stored, and the bytes that tell of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from app.database import Document
from app.events.type import EventType
from app.identity import derived_id
from app.receipts.receipt import JsonObject, rfc3339


class Scope(StrEnum):
    """How much of what is cached an event makes old."""

    KEY = "key"
    COLLECTION = "collection"
    NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class CacheScope:
    """What a receiver that caches answers should forget: one thing by its id, all answers about a
    collection, or all about the event's namespace (`id` is the namespace's then).
    """

    scope: Scope
    id: str

    def to_json(self) -> JsonObject:
        names = {
            Scope.KEY: "key",
            Scope.COLLECTION: "collection_id",
            Scope.NAMESPACE: "namespace_id",
        }
        return {"scope": self.scope.value, names[self.scope]: self.id}


@dataclass(frozen=True, slots=True)
class Subject:
    """What it happened to: `type` is a word such as "task" or "collection"."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once, under an id made of its cause: telling it again adds nothing.

    What is `of_organization` is no affair of those who see one namespace, whichever it names.
    `sequence` orders the events of one task, `task_id`; both are None of what no task did.
    """

    event_id: str
    event_type: EventType
    occurred_at: datetime
    namespace_id: str
    subject: Subject
    metadata: Mapping[str, object]
    cache_scope: CacheScope
    task_id: str | None = None
    sequence: int | None = None
    of_organization: bool = False

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored event."""
        return cls(
            event_id=stored["_id"],
            event_type=EventType(stored["event_type"]),
            occurred_at=stored["occurred_at"],
            namespace_id=stored["namespace_id"],
            subject=Subject(**stored["subject"]),
            metadata=stored["metadata"],
            cache_scope=CacheScope(
                Scope(stored["cache_scope"]["scope"]), stored["cache_scope"]["id"]
            ),
            task_id=stored["task_id"],
            sequence=stored["sequence"],
            of_organization=stored["of_organization"],
        )

    def to_document(self) -> Document:
        """As the outbox holds it."""
        return {
            "_id": self.event_id,
            "event_type": self.event_type.value,
            "occurred_at": self.occurred_at,
            "namespace_id": self.namespace_id,
            "subject": {"type": self.subject.type, "id": self.subject.id},
            "metadata": dict(self.metadata),
            "cache_scope": {"scope": self.cache_scope.scope.value, "id": self.cache_scope.id},
            "task_id": self.task_id,
            "sequence": self.sequence,
            "of_organization": self.of_organization,
        }

    def to_json(self) -> JsonObject:
        """The body that receivers get: our own keys, and `type`, `timestamp`, `data` of Standard
        Webhooks (https://www.standardwebhooks.com), which say the same.
        """
        occurred_at = rfc3339(self.occurred_at)
        subject: JsonObject = {"type": self.subject.type, "id": self.subject.id}
        metadata: JsonObject = {
            key: rfc3339(value) if isinstance(value, datetime) else value
            for key, value in self.metadata.items()
        }
        if self.sequence is not None:
            metadata["sequence"] = self.sequence
        return {
            "event_id": self.event_id,
            "event_type": self.event_type.value,
            "occurred_at": occurred_at,
            "namespace_id": self.namespace_id,
            "subject": subject,
            "metadata": metadata,
            "cache_scope": self.cache_scope.to_json(),
            "type": self.event_type.value,
            "timestamp": occurred_at,
            "data": {"namespace_id": self.namespace_id, "subject": subject, **metadata},
        }

    def to_bytes(self) -> bytes:
        """The body, UTF-8: these very bytes are signed and sent at each attempt."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


def event_id(event_type: EventType, *, cause: str, like: str) -> str:
    """The id of what `cause` made happen; it sorts by the time of the id `like`."""
    return derived_id("evt", like=like, key=f"{event_type}:{cause}")
