"""Who calls and where: keys and namespaces as the API looks them up for each request."""

import time
from collections.abc import Callable
from typing import Final

from anyio import CapacityLimiter, to_thread

from app.access.key import ApiKey, digest
from app.access.key_store import KeyStore
from app.access.recent import Recent
from app.resources.namespace import Namespace, NamespaceStore

TTL_S: Final = 5.0  # how long a revoked key or a deleted namespace may still be let in
SIZE: Final = 10_000  # keys, and as many namespaces: a few megabytes
# A flood of made-up secrets keeps this many threads of the process busy, and leaves the others to
# those whose key is known.
LOOK_UPS_AT_ONCE: Final = 8


class Directory:
    """Keys by secret and namespaces by name or id, remembered for `ttl_s` seconds.

    What is remembered costs no call to MongoDB. Secrets are remembered as digests, and those that
    open nothing as well: trying one of them again and again costs one look-up. A key is
    remembered for no longer than its secret works, by MongoDB's clock.
    """

    def __init__(
        self,
        keys: KeyStore,
        namespaces: NamespaceStore,
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._namespaces = namespaces
        self._known: Recent[str, ApiKey] = Recent(ttl_s=ttl_s, size=SIZE, clock=clock)
        self._strangers: Recent[str, bool] = Recent(ttl_s=ttl_s, size=SIZE, clock=clock)
        self._places: Recent[str, Namespace] = Recent(ttl_s=ttl_s, size=SIZE, clock=clock)
        self._look_ups = CapacityLimiter(LOOK_UPS_AT_ONCE)

    async def key(self, plain: str) -> ApiKey | None:
        """The key that the secret opens; None where it opens nothing."""
        sha256 = digest(plain)
        known = self._known.get(sha256)
        if known is not None or self._strangers.get(sha256):
            return known
        # Who was let in before does not stand in line with strangers whenever `ttl_s` has passed.
        line = None if self._known.had(sha256) else self._look_ups
        return await to_thread.run_sync(self._find_key, plain, sha256, limiter=line)

    async def namespace(self, identifier: str) -> Namespace | None:
        """The namespace with this id or name."""
        known = self._places.get(identifier)
        if known is not None:
            return known
        return await to_thread.run_sync(self._find_namespace, identifier)

    def forget(self) -> None:
        """After a key or a namespace of this process changed."""
        for memory in (self._known, self._strangers, self._places):
            memory.clear()

    def _find_key(self, plain: str, sha256: str) -> ApiKey | None:
        look, stranger = self._known.begin(), self._strangers.begin()
        found = self._known.get(sha256)  # by a request that was before this one in the line
        if found is not None or self._strangers.get(sha256):
            return found
        opened = self._keys.find(plain)
        if opened is None:
            self._strangers.put(sha256, True, look=stranger)
            return None
        self._known.put(sha256, opened.key, look=look, within_s=opened.open_for_s)
        return opened.key

    def _find_namespace(self, identifier: str) -> Namespace | None:
        look = self._places.begin()
        found = self._namespaces.find(identifier)
        if found is not None:
            self._places.put(identifier, found, look=look)
        return found
