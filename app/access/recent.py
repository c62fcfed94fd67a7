"""A small memory of recent look-ups, so that hot requests make no call to the database."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


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
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """The value, unless it is unknown or too old."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or kept[0] < self._clock():
            return None
        return kept[1]

    def put(self, key: Key, value: Value) -> None:
        """Keeps the value; the one that was put longest ago makes room."""
        with self._lock:
            self._kept[key] = (self._clock() + self._ttl_s, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything, after a change that must be seen at once."""
        with self._lock:
            self._kept.clear()
