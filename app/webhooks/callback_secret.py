"""The secrets that sign callbacks: one for each namespace, made when it is first needed."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.database import Database

from app.database import Document, insert_once
from app.errors import AlreadyExistsError
from app.identity import new_id
from app.receipts.draft import this_moment
from app.resources.namespace import NamespaceStore
from app.webhooks.keyring import Keyring, SealedKey
from app.webhooks.secret import Seal, make_key, write_secret

COLLECTION: Final = "callback_secrets"

INDEXES: Final = [IndexModel([("namespace_id", ASCENDING)])]  # by which a namespace is removed


class CallbackSecretStore:
    """The collection `callback_secrets`: {_id and namespace_id: "ns_…", keyring}."""

    def __init__(self, database: Database[Document], seal: Seal) -> None:
        self._rings = database[COLLECTION]
        self._namespaces = NamespaceStore(database)
        self._seal = seal

    def ensure_indexes(self) -> None:
        """Safe to repeat."""
        self._rings.create_indexes(INDEXES)

    def ring(self, namespace_id: str) -> Keyring:
        """The namespace's keys, one of which is made where there is none yet."""
        stored = self._rings.find_one({"_id": namespace_id})
        if stored is None:
            first = SealedKey(new_id("rot", "first"), self._seal.seal(make_key()), this_moment())
            document = {
                "_id": namespace_id,
                "namespace_id": namespace_id,
                "keyring": Keyring.first(first).to_document(),
            }
            stored = insert_once(self._rings, document)
        return Keyring.from_document(stored["keyring"])

    def keys(self, namespace_id: str) -> tuple[bytes, ...]:
        """Those that sign at the moment, the newest first; none where the namespace was deleted.

        `SealedElsewhereError` where they were sealed with another key.
        """
        has_ring = self._rings.find_one({"_id": namespace_id}, {"_id": 1}) is not None
        if not has_ring and self._namespaces.find(namespace_id) is None:
            return ()  # nobody could know a key that is made now
        return self.ring(namespace_id).signing(datetime.now(UTC), self._seal)

    def rotate(self, namespace_id: str, key: bytes, *, overlap: timedelta) -> Keyring:
        """The namespace's keys with this new one; those before it end with the overlap.

        Of several at once one succeeds, the others raise `AlreadyExistsError`. A request that is
        repeated finds its own rotation.
        """
        rotation_id, ring = new_id("rot"), self.ring(namespace_id)
        if ring.repeats(rotation_id):
            return ring
        new = SealedKey(rotation_id, self._seal.seal(key), this_moment())
        stored = self._rings.find_one_and_update(
            {"_id": namespace_id, "keyring.keys.0.rotation_id": ring.newest.rotation_id},
            {"$set": {"keyring": ring.rotated(new, overlap).to_document()}},
            return_document=ReturnDocument.AFTER,
        )
        if stored is None:
            raise AlreadyExistsError(
                "It was rotated by another request at this moment: rotate it again if you need to"
            )
        return Keyring.from_document(stored["keyring"])

    def reveal(self, ring: Keyring) -> str:
        """The newest secret as receivers configure it."""
        return write_secret(self._seal.unseal(ring.newest.sealed))
