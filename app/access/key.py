"""API keys: what a caller is allowed, without the secret that proves it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from app.access.permission import Permission
from app.database import Document
from app.receipts.receipt import JsonObject, rfc3339
from app.receipts.status import TaskStatusEnum

PREFIX: Final = "sk_"
MAX_KEY: Final = 512  # characters: more is no key, and is not worth a digest
SHOWN_PREFIX: Final = 8  # characters of a secret that people tell keys apart by
MIN_SHOWN: Final = 32  # characters: of a shorter secret, of an operator's own, nothing is shown


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret, as stored.

    `namespace_ids` None opens every namespace. Of keys that the settings brought, or an earlier
    version, nobody is known to have made them.
    """

    key_id: str
    name: str
    permission: Permission
    namespace_ids: frozenset[str] | None
    rate_limit_per_minute: int | None
    prefix: str
    sha256: str
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    rotated_at: datetime | None
    rotated_by: str | None
    overlap_ends_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document, of any version."""
        scope = stored["namespace_ids"]
        rotations, former = stored.get("rotations"), stored.get("former")
        return cls(
            key_id=stored["_id"],
            name=stored["name"],
            permission=Permission(stored["permission"]),
            namespace_ids=None if scope is None else frozenset(scope),
            rate_limit_per_minute=stored.get("rate_limit_per_minute"),
            prefix=stored.get("prefix", PREFIX),
            sha256=stored["sha256"],
            created_at=stored["created_at"],
            created_by=stored.get("created_by"),
            expires_at=stored.get("expires_at"),
            revoked_at=stored.get("revoked_at"),
            revoked_by=stored.get("revoked_by"),
            rotated_at=rotations[-1]["at"] if rotations else None,
            rotated_by=rotations[-1]["by"] if rotations else None,
            overlap_ends_at=max(each["ends_at"] for each in former) if former else None,
            last_used_at=stored.get("last_used_at"),
        )

    @property
    def actor(self) -> str:
        """Who did it, for receipts and histories."""
        return f"key:{self.name}"

    def opens(self, namespace_id: str) -> bool:
        """Whether the namespace is in the key's scope."""
        return self.namespace_ids is None or namespace_id in self.namespace_ids

    def is_open(self, now: datetime) -> bool:
        """Whether it was neither revoked nor has expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def to_json(self, now: datetime) -> JsonObject:
        """Everything but the digest."""
        scope = self.namespace_ids
        return {
            "key_id": self.key_id,
            "name": self.name,
            "permission": self.permission,
            "namespaces": None if scope is None else sorted(scope),
            "rate_limit_per_minute": self.rate_limit_per_minute,
            "prefix": self.prefix,
            "status": TaskStatusEnum.ACTIVE if self.is_open(now) else TaskStatusEnum.ARCHIVED,
            "created_at": rfc3339(self.created_at),
            "created_by": self.created_by,
            "expires_at": rfc3339(self.expires_at),
            "revoked_at": rfc3339(self.revoked_at),
            "revoked_by": self.revoked_by,
            "rotated_at": rfc3339(self.rotated_at),
            "rotated_by": self.rotated_by,
            "overlap_ends_at": rfc3339(self.overlap_ends_at),
            "last_used_at": rfc3339(self.last_used_at),
        }


def digest(plain: str) -> str:
    """SHA-256 in hex: keys are long and random, so a slow hash would buy nothing."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def shown_prefix(plain: str) -> str:
    """The first characters of a secret, too few of it to matter."""
    return plain[:SHOWN_PREFIX] if len(plain) >= MIN_SHOWN else PREFIX
