"""The keys in MongoDB: stored as digests, so that a copy of the database opens nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.access.key import MAX_KEY, PREFIX, ApiKey, digest, shown_prefix
from app.access.key_name import take_name
from app.access.permission import Permission
from app.access.standing import leave_one
from app.database import Document, transact
from app.errors import AlreadyExistsError, NotFoundError
from app.identity import new_id
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page

FIELDS: Final = FieldSet(
    {
        "key_id": Field("_id"),
        "name": Field("name", sortable=True, nullable=False),
        "permission": Field("permission", choices=tuple(Permission)),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "created_by": Field("created_by"),
        "expires_at": Field("expires_at", Kind.DATETIME),
        "revoked_at": Field("revoked_at", Kind.DATETIME),
        "last_used_at": Field("last_used_at", Kind.DATETIME),
    },
    searchable=("name",),
)

INDEXES: Final = [
    IndexModel([("sha256", ASCENDING)], unique=True),
    IndexModel([("former.sha256", ASCENDING)], sparse=True),
    IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("name", ASCENDING), ("_id", ASCENDING)]),
]

WITHIN: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is asked of a key to be. `namespace_ids` None opens every namespace."""

    name: str
    permission: Permission
    namespace_ids: Sequence[str] | None = None
    expires_at: datetime | None = None
    rate_limit_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key that a secret opens, and for how long, by MongoDB's clock; None: until revoked."""

    key: ApiKey
    open_for_s: float | None


class KeyStore:
    """The collection `api_keys`.

    Of keys made over HTTP, no two that share a namespace have one name until one is revoked. Names
    of keys that settings brought may repeat, since an operator may change the setting.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["api_keys"]

    def ensure_indexes(self) -> None:
        """Makes digests unique, and lists fast; safe to repeat."""
        self._keys.create_indexes(INDEXES)

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
        new = _document(NewKey(name, permission, namespace_ids), plain, by=None)
        stored = self._keys.find_one_and_update(
            {"sha256": new.pop("sha256")},
            {"$setOnInsert": new},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert stored is not None  # an upsert that returns what is there afterwards
        return ApiKey.from_document(stored)

    def create(self, new: NewKey, plain: str, *, by: str) -> ApiKey:
        """Stores a key with this secret; `AlreadyExistsError` while another has its name.

        Safe to repeat for a repeated request that comes with the same secret.
        """
        document = _document(new, plain, by=by)
        key_id, scope = document["_id"], new.namespace_ids

        def write(session: ClientSession) -> Document:
            take_name(self._keys, new.name, scope=scope, key_id=key_id, session=session)
            made = self._keys.find_one({"_id": key_id}, session=session)
            if made is None:
                self._keys.insert_one(document, session=session)
            return made or document

        stored = transact(self._keys.database, write, within=WITHIN)
        if stored["sha256"] != document["sha256"]:
            raise AlreadyExistsError(
                "This request was answered before, and its secret is gone: rotate the key"
            )
        return ApiKey.from_document(stored)

    def find(self, plain: str) -> OpenKey | None:
        """The key that this secret opens, unless there is none, or no longer.

        The look-up is by digest, so its time tells nothing about the secrets that are stored.
        """
        if not plain.startswith(PREFIX) or len(plain) > MAX_KEY:
            return None
        sha256 = digest(plain)
        has_it = {"$or": [{"sha256": sha256}, {"former.sha256": sha256}], "revoked_at": None}
        with self._keys.aggregate([{"$match": has_it}, {"$set": {"now": "$$NOW"}}]) as found:
            stored = next(found, None)
        return None if stored is None else _opened(stored, sha256)

    def get(self, key_id: str, *, scope: Collection[str] | None) -> ApiKey:
        """The key, or `NotFoundError` for one that reaches beyond these namespaces."""
        stored = self._keys.find_one({"$and": [{"_id": key_id}, _within(scope)]})
        if stored is None:
            raise NotFoundError(f"There is no key '{key_id[:128]}'")
        return ApiKey.from_document(stored)

    def list(self, scope: Collection[str] | None, query: ListQuery) -> Page[ApiKey]:
        """A page of the keys that reach no further than these namespaces; of all with None."""
        return list_page(self._keys, _within(scope), query, FIELDS).map(ApiKey.from_document)

    def change(self, key: ApiKey, changes: Mapping[str, object]) -> ApiKey:
        """Sets name, expiry or limit of a key that is not revoked; `AlreadyExistsError` else.

        Also where the name is taken, and where no admin key to everything would be left for good.
        """
        name = str(changes["name"]) if "name" in changes else None
        closes = changes.get("expires_at") is not None
        return self._write(key, {"$set": dict(changes)}, closes=closes, name=name)

    def revoke(self, key: ApiKey, *, by: str) -> ApiKey:
        """Closes the key for good, its name free for another; `AlreadyExistsError` as `change`."""
        revoked = {"revoked_at": datetime.now(UTC), "revoked_by": by, "former": []}
        return self._write(key, {"$set": revoked}, closes=True)

    def _write(
        self, key: ApiKey, update: Document, *, closes: bool, name: str | None = None
    ) -> ApiKey:
        """The update of a key that is not revoked; it may close the key, or give it a name."""
        if not closes and name is None:
            return self._update(key, update, None)

        def write(session: ClientSession) -> ApiKey:
            if name is not None:
                scope = key.namespace_ids
                take_name(self._keys, name, scope=scope, key_id=key.key_id, session=session)
            if closes:
                leave_one(self._keys, key, session)
            return self._update(key, update, session)

        return transact(self._keys.database, write, within=WITHIN)

    def _update(self, key: ApiKey, update: Document, session: ClientSession | None) -> ApiKey:
        stored = self._keys.find_one_and_update(
            {"_id": key.key_id, "revoked_at": None},
            update,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if stored is None:
            raise AlreadyExistsError(f"The key '{key.name}' was revoked: make a new one")
        return ApiKey.from_document(stored)


def _document(new: NewKey, plain: str, *, by: str | None) -> Document:
    scope = new.namespace_ids
    return {
        "_id": new_id("key"),
        "sha256": digest(plain),
        "prefix": shown_prefix(plain),
        "name": new.name,
        "permission": new.permission.value,
        "namespace_ids": None if scope is None else list(scope),
        "rate_limit_per_minute": new.rate_limit_per_minute,
        "created_at": datetime.now(UTC),
        "created_by": by,
        "expires_at": new.expires_at,
        "revoked_at": None,
    }


def _opened(stored: Document, sha256: str) -> OpenKey | None:
    ends = [each["ends_at"] for each in stored.get("former", ()) if each["sha256"] == sha256]
    ends += [stored["expires_at"]] if stored.get("expires_at") else []
    if not ends:
        return OpenKey(ApiKey.from_document(stored), None)
    left = (min(ends) - stored["now"]).total_seconds()
    return OpenKey(ApiKey.from_document(stored), left) if left > 0 else None


def _within(scope: Collection[str] | None) -> Document:
    """The keys that reach no further than these namespaces."""
    if scope is None:
        return {}
    beyond = {"$elemMatch": {"$nin": sorted(scope)}}
    return {"namespace_ids": {"$ne": None, "$not": beyond}}
