"""What of the table's rows in progress is known to this process."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

Key = tuple[str, str, str]  # service, processor, reference

MOST_LOST_ENDS: Final = 10_000  # the oldest is forgotten first


@dataclass(frozen=True, slots=True)
class End:
    """One end of a run, the same however often it is tried."""

    ended_at: datetime | None
    end_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Holding:
    """Runs that were started here and not ended, and references whose start is on its way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starting: Counter[Key] = Counter()
        self._held: set[str] = set()
        self._lost_ends: dict[str, End] = {}
        self._in_doubt = False

    @contextmanager
    def starting(self, key: Key) -> Iterator[None]:
        """Within the block a row of this reference may be one whose id is told in a moment."""
        with self._lock:
            self._starting[key] += 1
        try:
            yield
        except BaseException:
            with self._lock:
                self._in_doubt = True
            raise
        finally:
            with self._lock:
                self._starting[key] -= 1
                if not self._starting[key]:
                    del self._starting[key]

    def hold(self, processing_id: str) -> None:
        """The run is in progress here: whoever started it knows its id."""
        with self._lock:
            self._held.add(processing_id)

    def release(self, processing_id: str) -> None:
        """The run is not in progress any more."""
        with self._lock:
            self._held.discard(processing_id)

    def lose_end(self, processing_id: str, end: End) -> None:
        """The end may be stored or not: the next try of it is to be the same."""
        with self._lock:
            while len(self._lost_ends) >= MOST_LOST_ENDS:
                del self._lost_ends[next(iter(self._lost_ends))]
            self._lost_ends[processing_id] = end

    def take_lost_end(self, processing_id: str) -> End | None:
        """The end of that run which may be stored already; it is told once."""
        with self._lock:
            return self._lost_ends.pop(processing_id, None)

    def knows(self, processing_id: str, key: Key) -> bool:
        """Whether somebody here can end that run, or is about to learn of it."""
        with self._lock:
            return processing_id in self._held or key in self._starting

    def take_doubt(self) -> bool:
        """Whether a start failed since the last call: its row may be there all the same."""
        with self._lock:
            doubt, self._in_doubt = self._in_doubt, False
            return doubt

    def held(self) -> list[str]:
        """The ids of the runs that are held."""
        with self._lock:
            return list(self._held)
