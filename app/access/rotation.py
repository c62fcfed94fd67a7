"""A key's new secret, and the ones before it that still work for a while."""

from datetime import timedelta
from typing import Final

from pymongo import ReturnDocument
from pymongo.database import Database

from app.access.key import ApiKey, digest, shown_prefix
from app.database import Document
from app.errors import AlreadyExistsError
from app.identity import new_id
from app.receipts.transition import NOW, literal

MAX_FORMER: Final = 10  # secrets of one key that may work beside its newest
KEPT_ROTATIONS: Final = 100  # the latest of them, by which a repeated request knows its own

# Of the key, as its rotation finds it: the former secrets that still work.
_LIVE: Final[Document] = {
    "$filter": {
        "input": {"$ifNull": ["$former", []]},
        "as": "each",
        "cond": {"$gt": ["$$each.ends_at", NOW]},
    }
}


class Rotation:
    """Gives the keys in `api_keys` new secrets."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["api_keys"]

    def rotate(self, key: ApiKey, plain: str, *, overlap: timedelta, by: str) -> ApiKey:
        """The key with this secret; those before it work until the overlap ends, at most.

        One atomic write, by MongoDB's clock. Of several at once, one succeeds; the others raise
        `AlreadyExistsError`, so that nobody is given a secret that has ended already. A request
        that is repeated finds its own rotation and changes nothing.
        """
        rotation_id, sha256 = new_id("rot"), digest(plain)
        guard: Document = {
            "_id": key.key_id,
            "sha256": key.sha256,
            "revoked_at": None,
            "rotations.rotation_id": {"$ne": rotation_id},
            "$expr": {"$lt": [{"$size": _LIVE}, MAX_FORMER]},
        }
        made = {"rotation_id": rotation_id, "at": NOW, "by": literal(by)}
        change = {
            "sha256": sha256,
            "prefix": shown_prefix(plain),
            "former": _former(overlap),
            "rotations": {"$slice": [_appended("$rotations", made), -KEPT_ROTATIONS]},
        }
        stored = self._keys.find_one_and_update(
            guard, [{"$set": change}], return_document=ReturnDocument.AFTER
        )
        if stored is None:
            return self._repeated(key, rotation_id, sha256)
        return ApiKey.from_document(stored)

    def _repeated(self, key: ApiKey, rotation_id: str, sha256: str) -> ApiKey:
        """The key where this very rotation has happened, else the reason why it did not."""
        stored = self._keys.find_one({"_id": key.key_id})
        if stored is None or stored.get("revoked_at") is not None:
            raise AlreadyExistsError(f"The key '{key.name}' was revoked: make a new one")
        if any(each["rotation_id"] == rotation_id for each in stored.get("rotations", ())):
            if stored["sha256"] == sha256:
                return ApiKey.from_document(stored)
            raise AlreadyExistsError(
                "This request was answered before, and its secret is gone: rotate the key anew"
            )
        if stored["sha256"] != key.sha256:
            raise AlreadyExistsError(
                f"The key '{key.name}' was rotated by another request at this moment: "
                "rotate it again if you still need to"
            )
        raise AlreadyExistsError(
            f"{MAX_FORMER} earlier secrets of the key '{key.name}' still work: wait until an "
            "overlap ends"
        )


def _former(overlap: timedelta) -> Document | list[Document]:
    """The secrets before the new one; without an overlap there are none."""
    if not overlap:
        return []
    overlap_ms = int(overlap.total_seconds() * 1000)
    ends_at = {"$add": [NOW, overlap_ms]}
    earlier = {"$min": ["$$each.ends_at", ends_at]}
    live = {
        "$map": {
            "input": _LIVE,
            "as": "each",
            "in": {"sha256": "$$each.sha256", "ends_at": earlier},
        }
    }
    return {"$concatArrays": [live, [{"sha256": "$sha256", "ends_at": ends_at}]]}


def _appended(path: str, entry: Document) -> Document:
    return {"$concatArrays": [{"$ifNull": [path, []]}, [entry]]}
