"""API keys: stored as digests, so that a copy of the database opens nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.database import Database

from app.access.permission import Permission
from app.database import Document
from app.identity import new_id

PREFIX: Final = "sk_"
MAX_KEY: Final = 512  # characters: more is no key, and is not worth a digest


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `namespace_ids` None opens every namespace."""

    key_id: str
    name: str
    permission: Permission
    namespace_ids: frozenset[str] | None

    def opens(self, namespace_id: str) -> bool:
        """Whether the namespace is in the key's scope."""
        return self.namespace_ids is None or namespace_id in self.namespace_ids


class KeyStore:
    """The collection `api_keys`."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["api_keys"]

    def ensure_indexes(self) -> None:
        """Makes digests unique; safe to repeat."""
        self._keys.create_indexes([IndexModel([("sha256", ASCENDING)], unique=True)])

    def register(
        self,
        plain: str,
        name: str,
        permission: Permission,
        namespace_ids: Sequence[str] | None = None,
    ) -> ApiKey:
        """Stores the key unless it is there already, which then stays as it is.

        Safe to repeat and to run from several processes at once. A revoked key stays revoked.
        """
        if not plain.startswith(PREFIX) or not len(PREFIX) < len(plain) <= MAX_KEY:
            raise ValueError(f"an API key begins with {PREFIX}")
        new: Document = {
            "_id": new_id("key"),
            "name": name,
            "permission": permission.value,
            "namespace_ids": None if namespace_ids is None else list(namespace_ids),
            "created_at": datetime.now(UTC),
        }
        stored = self._keys.find_one_and_update(
            {"sha256": digest(plain)},
            {"$setOnInsert": new},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert stored is not None  # an upsert that returns what is there afterwards
        return _key(stored)

    def find(self, plain: str) -> ApiKey | None:
        """The key with this secret, unless there is none or it was revoked.

        The look-up is by digest, so its time tells nothing about the secrets that are stored.
        """
        if not plain.startswith(PREFIX) or len(plain) > MAX_KEY:
            return None
        stored = self._keys.find_one({"sha256": digest(plain), "revoked_at": None})
        return _key(stored) if stored else None

    def revoke(self, key_id: str) -> bool:
        """Closes the key; False when there is no such open key."""
        changed = self._keys.update_one(
            {"_id": key_id, "revoked_at": None}, {"$set": {"revoked_at": datetime.now(UTC)}}
        )
        return changed.modified_count == 1


def digest(plain: str) -> str:
    """SHA-256 in hex: keys are long and random, so a slow hash would buy nothing."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def _key(stored: Document) -> ApiKey:
    scope = stored["namespace_ids"]
    return ApiKey(
        key_id=stored["_id"],
        name=stored["name"],
        permission=Permission(stored["permission"]),
        namespace_ids=None if scope is None else frozenset(scope),
    )
