"""Who calls and where: keys and namespaces as the API looks them up for each request."""

from typing import Final

from app.access.key import ApiKey, KeyStore, digest
from app.access.recent import Recent
from app.resources.namespace import Namespace, NamespaceStore

TTL_S: Final = 5.0  # how long a revoked key or a deleted namespace may still be let in
SIZE: Final = 10_000  # keys, and as many namespaces: a few megabytes


class Directory:
    """Keys by secret and namespaces by name or id, remembered for `TTL_S` seconds.

    `known_…` never leaves the process; `find_…` asks MongoDB and remembers what it finds.
    Secrets are remembered as digests.
    """

    def __init__(self, keys: KeyStore, namespaces: NamespaceStore) -> None:
        self._keys = keys
        self._namespaces = namespaces
        self._known_keys: Recent[str, ApiKey] = Recent(ttl_s=TTL_S, size=SIZE)
        self._known_namespaces: Recent[str, Namespace] = Recent(ttl_s=TTL_S, size=SIZE)

    def known_key(self, plain: str) -> ApiKey | None:
        return self._known_keys.get(digest(plain))

    def find_key(self, plain: str) -> ApiKey | None:
        found = self._keys.find(plain)
        if found is not None:
            self._known_keys.put(digest(plain), found)
        return found

    def known_namespace(self, identifier: str) -> Namespace | None:
        return self._known_namespaces.get(identifier)

    def find_namespace(self, identifier: str) -> Namespace | None:
        found = self._namespaces.find(identifier)
        if found is not None:
            self._known_namespaces.put(identifier, found)
        return found

    def forget(self) -> None:
        """After a key or a namespace of this process changed."""
        self._known_keys.clear()
        self._known_namespaces.clear()
