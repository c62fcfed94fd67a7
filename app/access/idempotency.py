"""What became of requests with an Idempotency-Key: one effect, and one answer, for 24 hours."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.identity import new_id

KEPT_FOR: Final = timedelta(hours=24)
ABANDONED_AFTER: Final = timedelta(seconds=60)  # longer than any request of ours runs


@dataclass(frozen=True, slots=True)
class Claimed:
    """This request is the first: it runs, and then keeps or releases its token.

    `seed`, an id, is that of an earlier run with the same content that came to no clear end.
    """

    token: str
    seed: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An earlier request with the same key and content has this answer.

    `body` is None when the answer was too large to be kept.
    """

    status: int
    body: bytes | None


class Refused(StrEnum):
    """Why the request may not run."""

    OTHER_CONTENT = "other_content"
    STILL_RUNNING = "still_running"


Outcome = Claimed | Kept | Refused


class IdempotencyStore:
    """The collection `idempotency`; MongoDB removes its entries after `KEPT_FOR`."""

    def __init__(self, database: Database[Document]) -> None:
        self._entries = database["idempotency"]

    def ensure_indexes(self) -> None:
        """Makes the index that removes old entries; safe to repeat."""
        self._entries.create_indexes(
            [
                IndexModel(
                    [("created_at", ASCENDING)], expireAfterSeconds=int(KEPT_FOR.total_seconds())
                )
            ]
        )

    def claim(self, entry_id: str, content: str) -> Outcome:
        """Claims the key for a request with this content, or says what became of an earlier one.

        Of several requests at once, one is told `Claimed`. A claim that was neither kept nor
        released counts as abandoned after `ABANDONED_AFTER`.
        """
        now = datetime.now(UTC)
        token = secrets.token_hex(16)
        over: list[Document] = [
            {"created_at": {"$lt": now - KEPT_FOR}},
            {"status": None, "content": content, "claimed_at": {"$lt": now - ABANDONED_AFTER}},
            {"status": None, "token": None},
        ]
        is_repeat = {
            "$and": [
                {"$eq": ["$content", content]},
                {"$gte": ["$created_at", now - KEPT_FOR]},
            ]
        }
        fresh: Document = {
            "seed": {"$cond": [is_repeat, "$seed", new_id("req")]},
            "content": content,
            "token": token,
            "claimed_at": now,
            "created_at": now,
            "status": None,
            "body": None,
        }
        try:
            entry = self._entries.find_one_and_update(
                {"_id": entry_id, "$or": over},
                [{"$set": fresh}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            entry = self._entries.find_one({"_id": entry_id})
            return _outcome(entry, content) if entry else Refused.STILL_RUNNING
        assert entry is not None  # an upsert that returns what it left
        return Claimed(token, entry["seed"])

    def keep(self, entry_id: str, token: str, kept: Kept) -> None:
        """Stores the answer, unless the claim was taken over in the meantime."""
        answer = {"status": kept.status, "body": kept.body}
        self._entries.update_one({"_id": entry_id, "token": token}, {"$set": answer})

    def release(self, entry_id: str, token: str) -> None:
        """Frees the key: the request failed, and the next one with it runs anew."""
        ours = {"_id": entry_id, "token": token, "status": None}
        self._entries.update_one(ours, {"$set": {"token": None}})


def _outcome(entry: Document, content: str) -> Outcome:
    if entry["content"] != content:
        return Refused.OTHER_CONTENT
    if entry.get("status") is None:
        return Refused.STILL_RUNNING
    return Kept(entry["status"], entry["body"])
