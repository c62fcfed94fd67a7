"""After the last fault: everything comes to its end, and everybody is at work again."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

from pymongo.errors import PyMongoError

from app.receipts.status import TERMINAL
from tests.chaos import roll
from tests.chaos.cluster import ORPHANS_END_WITHIN_S, Cluster
from tests.chaos.load import Producer
from tests.chaos.observer import Observer
from tests.chaos.tally import Tally
from tests.polling import PAUSE_S
from waybill import ApiError, ConnectError

# The claim of an Idempotency-Key whose request died counts as abandoned after 60 s.
DRAINED_WITHIN_S: Final = 180.0
SERVING_WITHIN_S: Final = 60.0
SAY_EVERY_S: Final = 5.0
TERMINAL_VALUES: Final = [status.value for status in TERMINAL]


class Drain:
    """Nothing is disturbed any more; the cluster is supervised all the same."""

    def __init__(
        self,
        cluster: Cluster,
        observer: Observer,
        tally: Tally,
        producers: Sequence[Producer],
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self._observer, self._tally = cluster, observer, tally
        self._producers, self._say = producers, say

    def wait(self) -> None:
        """Returns when nothing is open; at the deadline it finds what still is."""
        began_s = time.monotonic()
        if self._until(self._pending, DRAINED_WITHIN_S):
            self._say(f"drained {time.monotonic() - began_s:.1f} s after the last fault")
        self._until(self._observer.lacks, SERVING_WITHIN_S)
        with self._observer.client(roll.NAMESPACE) as client:
            call = roll.RollCall(self._cluster, self._observer, self._tally, client)
            self._until(call.absent, SERVING_WITHIN_S)
        self._until(self._pending, DRAINED_WITHIN_S)
        self._until(self._orphaned, ORPHANS_END_WITHIN_S)

    def _until(self, pending: Callable[[], str], within_s: float) -> bool:
        """Waits until nothing is pending, and finds what is pending too long."""
        pause = Event()
        deadline_s = time.monotonic() + within_s
        said_s = 0.0
        while True:
            self._cluster.tick()
            try:
                left = pending()
            except (PyMongoError, ApiError, ConnectError) as exc:
                left = f"{type(exc).__name__}: {exc}"
            if not left:
                return True
            if time.monotonic() > deadline_s:
                self._tally.find(f"after {within_s:g} s without faults: {left}")
                return False
            if time.monotonic() - said_s > SAY_EVERY_S:
                said_s = time.monotonic()
                self._say(f"          waiting: {left}")
            pause.wait(PAUSE_S * 5)

    def _resume_all(self) -> None:
        query = {
            "parent_task_id": None,
            "suspension": {"$ne": None},
            "status": {"$nin": TERMINAL_VALUES},
        }
        for row in self._observer.database["tasks"].find(query, {"namespace_id": 1}):
            try:
                with self._observer.client(row["namespace_id"]) as client:
                    client.tasks.resume(row["_id"])
            except ApiError as exc:  # it ended meanwhile, or the database is not back yet
                self._say(f"          not resumed: {row['_id']}: {exc}")

    def _orphaned(self) -> str:
        members = self._cluster.members.values()
        return ", ".join(f"orphans of {member.name}" for member in members if member.orphans)

    def _pending(self) -> str:
        self._resume_all()
        unsettled = sum(producer.unsettled for producer in self._producers)
        query = {"status": {"$nin": TERMINAL_VALUES}}
        rows = self._observer.database["tasks"].find(query, {"status": 1, "task_type": 1})
        by_status = Counter(f"{row['task_type']} {row['status']}" for row in rows)
        parts = [f"{count} {name}" for name, count in sorted(by_status.items())]
        if unsettled:
            parts.append(f"{unsettled} requests without a clear answer")
        if not parts and any(producer.is_at_work for producer in self._producers):
            parts.append("producers")
        return ", ".join(parts)
