"""What became of requests with an Idempotency-Key: one effect, and one answer, for 24 hours."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.identity import new_id
from app.receipts.transition import NOW, earlier

KEPT_FOR: Final = timedelta(hours=24)
ABANDONED_AFTER: Final = timedelta(seconds=60)  # longer than any request of ours runs
REMADE: Final = "remade"  # in the place of the answer's status

INDEXES: Final = [
    IndexModel([("created_at", ASCENDING)], expireAfterSeconds=int(KEPT_FOR.total_seconds()))
]


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


@dataclass(frozen=True, slots=True)
class KeptSeed:
    """An earlier request with the same key and content succeeded; its answer is made again."""

    seed: str


class Refused(StrEnum):
    """Why the request may not run."""

    OTHER_CONTENT = "other_content"
    STILL_RUNNING = "still_running"


Outcome = Claimed | Kept | KeptSeed | Refused


class IdempotencyStore:
    """The collection `idempotency`; MongoDB removes its entries after `KEPT_FOR`."""

    def __init__(self, database: Database[Document]) -> None:
        self._entries = database["idempotency"]

    def ensure_indexes(self) -> None:
        """Makes the index that removes old entries; safe to repeat."""
        self._entries.create_indexes(INDEXES)

    def claim(self, entry_id: str, content: str) -> Outcome:
        """Claims the key for a request with this content, or says what became of an earlier one.

        Of several requests at once, one is told `Claimed`. A claim that was neither kept nor
        released counts as abandoned after `ABANDONED_AFTER`.
        """
        token = secrets.token_hex(16)
        claim = _claim(content, token=token, seed=new_id("req"))
        try:
            entry = self._entries.find_one_and_update(
                {"_id": entry_id}, claim, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:
            return Refused.STILL_RUNNING  # another request made the entry at this very moment
        assert entry is not None  # an upsert that returns what it left
        if entry["token"] == token:
            return Claimed(token, entry["seed"])
        return _outcome(entry, content)

    def keep(self, entry_id: str, token: str, kept: Kept) -> None:
        """Stores the answer, unless the claim was taken over in the meantime."""
        answer = {"status": kept.status, "body": kept.body}
        self._entries.update_one({"_id": entry_id, "token": token}, {"$set": answer})

    def keep_seed(self, entry_id: str, token: str) -> None:
        """Stores that it succeeded, and nothing of the answer, which may be told again."""
        succeeded = {"status": REMADE}
        self._entries.update_one({"_id": entry_id, "token": token}, {"$set": succeeded})

    def release(self, entry_id: str, token: str) -> None:
        """Frees the key: the request failed, and the next one with it runs anew."""
        ours = {"_id": entry_id, "token": token, "status": None}
        self._entries.update_one(ours, {"$set": {"token": None}})


def _claim(content: str, *, token: str, seed: str) -> list[Document]:
    """The update that makes the entry this request's, where nobody else has a right to it."""
    is_old = {"$lt": ["$created_at", earlier(KEPT_FOR)]}
    is_same = {"$eq": ["$content", content]}
    is_open = {"$eq": ["$status", None]}
    is_abandoned = {"$lt": ["$claimed_at", earlier(ABANDONED_AFTER)]}
    is_free = {
        "$or": [
            {"$eq": [{"$type": "$created_at"}, "missing"]},
            is_old,
            {"$and": [is_open, is_same, is_abandoned]},
            {"$and": [is_open, {"$eq": ["$token", None]}]},
        ]
    }
    is_repeat = {"$and": [is_same, {"$not": is_old}]}
    fresh = {
        "seed": {"$cond": [is_repeat, {"$ifNull": ["$seed", seed]}, seed]},
        "content": content,
        "token": token,
        "claimed_at": NOW,
        "created_at": NOW,
        "status": None,
        "body": None,
    }
    sets = {name: {"$cond": [is_free, value, f"${name}"]} for name, value in fresh.items()}
    return [{"$set": sets}]


def _outcome(entry: Document, content: str) -> Outcome:
    if entry["content"] != content:
        return Refused.OTHER_CONTENT
    if entry.get("status") is None:
        return Refused.STILL_RUNNING
    if entry["status"] == REMADE:
        return KeptSeed(entry["seed"])
    return Kept(entry["status"], entry["body"])
