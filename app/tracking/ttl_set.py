"""Ids that are remembered for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

DEFAULT_TTL_S: Final = 600.0
# A process that ends a thousand jobs a second would otherwise hold hundreds of MB of ids. What
# is forgotten early is still in the table.
MOST_IDS: Final = 100_000


class TTLSet:
    """A set of ids, each of which leaves `ttl_s` seconds after it was added last.

    Holds `max_size` ids at most and forgets the oldest first. `clock` gives monotonic seconds.
    Not thread-safe: whoever shares one locks it.
    """

    def __init__(
        self,
        ttl_s: float = DEFAULT_TTL_S,
        *,
        max_size: int = MOST_IDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if ttl_s <= 0:
            raise ValueError(f"ttl_s={ttl_s!r} is not valid: it must be more than 0 seconds")
        self._ttl_s = ttl_s
        self._max_size = max_size
        self._clock = clock
        self._until_s: OrderedDict[str, float] = OrderedDict()  # who leaves first comes first

    def add(self, item: str) -> None:
        """Adds the id, or gives it its whole time again."""
        self._until_s[item] = self._clock() + self._ttl_s
        self._until_s.move_to_end(item)
        self.cleanup()

    def discard(self, item: str) -> None:
        """Removes the id; nothing happens where it is not there."""
        self._until_s.pop(item, None)

    def cleanup(self) -> None:
        """Frees the memory of what has left; every addition does so, too."""
        now_s = self._clock()
        while self._until_s:
            oldest, until_s = next(iter(self._until_s.items()))
            if until_s > now_s and len(self._until_s) <= self._max_size:
                return
            del self._until_s[oldest]

    def __contains__(self, item: object) -> bool:
        until_s = self._until_s.get(item)  # type: ignore[call-overload]
        return until_s is not None and until_s > self._clock()

    def __len__(self) -> int:
        self.cleanup()
        return len(self._until_s)

    def __iter__(self) -> Iterator[str]:
        self.cleanup()
        return iter(list(self._until_s))
