"""How many tasks a namespace may have running, and waiting, at once.

The limits are a part of the namespace; where it names none, the settings' hold.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, server_time
from app.receipts.transition import NOW

COLLECTION: Final = "namespaces"
# What the lock writes to a namespace's document.
DOOR_FIELDS: Final = ("door_at", "door_opened")
# A change that another process made is seen this much later.
REMEMBERED_S: Final = 3.0
MOST_REMEMBERED: Final = 10_000
# Well over what any process remembers.
LATELY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits on whole tasks, not their children; None is no limit."""

    max_running: int | None = None
    max_pending: int | None = None

    @property
    def is_set(self) -> bool:
        return self.max_running is not None or self.max_pending is not None

    @classmethod
    def from_document(cls, stored: Document | None, *, defaults: Self) -> Self:
        """What a namespace's document names, filled up from the defaults."""
        named = {} if stored is None else {k: v for k, v in stored.items() if v is not None}
        return cls(
            max_running=named.get("max_running", defaults.max_running),
            max_pending=named.get("max_pending", defaults.max_pending),
        )


NO_QUOTA: Final = Quota()


class QuotaStore:
    """The quotas of namespaces, and the one lock that each of them has."""

    def __init__(self, database: Database[Document], *, defaults: Quota = NO_QUOTA) -> None:
        self._namespaces = database[COLLECTION]
        self._defaults = defaults
        self._remembered: dict[str, tuple[float, Quota]] = {}

    def of(self, namespace_id: str) -> Quota:
        """The namespace's quota as it was a few seconds ago, or is."""
        known = self._remembered.get(namespace_id)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        until_s = time.monotonic() + REMEMBERED_S
        stored = self._namespaces.find_one({"_id": namespace_id}, {"quotas": 1})
        quota = self._quota(stored)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[namespace_id] = (until_s, quota)
        return quota

    def lock(self, namespace_id: str, session: ClientSession) -> Quota:
        """The quota as it is, within a transaction: of two that overlap, one begins anew."""
        stored = self._namespaces.find_one_and_update(
            {"_id": namespace_id},
            [{"$set": {"door_at": NOW, "door_opened": _ONE_MORE}}],
            projection={"quotas": 1},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return self._quota(stored)

    def changed_lately(self) -> list[str]:
        """Namespaces with a quota that some processes may not have heard of yet."""
        since = server_time(self._namespaces.database) - LATELY
        found = self._namespaces.find({"quotas.changed_at": {"$gt": since}}, {"quotas": 1})
        return [row["_id"] for row in found if self._quota(row).is_set]

    def forget(self, namespace_id: str) -> None:
        """The quota has changed."""
        self._remembered.pop(namespace_id, None)

    def _quota(self, stored: Document | None) -> Quota:
        return Quota.from_document((stored or {}).get("quotas"), defaults=self._defaults)


# Two transactions of one millisecond must not write the same.
_ONE_MORE: Final[Document] = {"$add": [{"$ifNull": ["$door_opened", 0]}, 1]}
