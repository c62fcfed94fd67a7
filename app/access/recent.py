"""A small memory of recent look-ups, so that hot requests make no call to the database."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Look:
    """When a look-up began: by the clock, and by how often the memory had been cleared."""

    began_s: float
    cleared: int


class Recent(Generic[Key, Value]):
    """Keeps up to `size` values for `ttl_s` seconds each; safe for several threads.

    What it gives is at most `ttl_s` seconds old: a revoked key works that much longer.
    """

    def __init__(
        self, *, ttl_s: float, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_s = ttl_s
        self._size = size
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._cleared = 0
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """The value, unless it is unknown or too old."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or kept[0] <= self._clock():
            return None
        return kept[1]

    def had(self, key: Key) -> bool:
        """Whether a value is kept, too old as it may be."""
        with self._lock:
            return key in self._kept

    def begin(self) -> Look:
        """Before a look-up whose result is to be `put`."""
        return Look(self._clock(), self._cleared)

    def put(self, key: Key, value: Value, *, look: Look, within_s: float | None = None) -> None:
        """Keeps what a look-up found, for `within_s` seconds at most, counted from its beginning.

        Nothing is kept of a look-up that began before the memory was cleared: what it found may
        be what has changed. The value that was put longest ago makes room.
        """
        ttl_s = self._ttl_s if within_s is None else min(self._ttl_s, within_s)
        with self._lock:
            if look.cleared != self._cleared:
                return
            self._kept[key] = (look.began_s + ttl_s, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything, after a change that must be seen at once."""
        with self._lock:
            self._cleared += 1
            self._kept.clear()
