"""What the producers asked for and what they were told, for the reckoning at the end."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from app.receipts.cache import OPEN_COPY_TRUST_MS
from waybill.flow.polling import TERMINAL

BATCH: Final = "api_buckets_batches_process"
BULK_KILL: Final = "api_tasks_kill"
MAX_FINDINGS: Final = 200
# A copy of an open task is believed for a moment, and refreshing it may have failed; who wrote it
# may have been frozen between the read and the write.
LONGEST_FREEZE_S: Final = 12.0
BELIEVED_S: Final = OPEN_COPY_TRUST_MS / 1000 + LONGEST_FREEZE_S


@dataclass(frozen=True, slots=True)
class Order:
    """One task that was asked for; `tag` is in its receipt's additional data and no other's."""

    tag: str
    task_type: str
    inputs: Sequence[object]


@dataclass(frozen=True, slots=True)
class End:
    """A terminal status, and when it was first read, by the clock of `time.monotonic`."""

    status: str
    read_s: float


@dataclass
class Tally:
    """The producers' common memory; each method may be called from any of their threads."""

    orders: dict[str, Order] = field(default_factory=dict)  # by tag, whether accepted or not
    accepted: dict[str, str] = field(default_factory=dict)  # task id → tag
    reasons: set[str] = field(default_factory=set)  # of every kill that was tried
    killed: dict[str, str] = field(default_factory=dict)  # task id → status in the answer
    ended: dict[str, "End"] = field(default_factory=dict)  # by task id, once an answer said so
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, what: str) -> None:
        """Something is wrong."""
        with self._lock:
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(what)

    def order(self, orders: Sequence[Order]) -> None:
        """These are about to be asked for."""
        with self._lock:
            self.orders.update((order.tag, order) for order in orders)

    def accept(self, task_id: str, tag: str) -> None:
        """A 2xx answer named this task for that order."""
        with self._lock:
            before = self.accepted.setdefault(task_id, tag)
            other = [one for one, each in self.accepted.items() if each == tag and one != task_id]
        if before != tag or other:
            self.find(f"order {tag} got task {task_id}, besides {before} {other}")

    def try_kill(self, reason: str) -> None:
        """A kill with this reason is about to be sent."""
        with self._lock:
            self.reasons.add(reason)

    def kill(self, task_id: str, status: str) -> None:
        """A kill was accepted; the task was `status` in the answer."""
        with self._lock:
            self.killed.setdefault(task_id, status)
        self.read(task_id, status, asked_s=time.monotonic())

    def read(self, task_id: str, status: str, *, asked_s: float) -> bool:
        """An answer to a call of the time `asked_s` said so; whether the task has ended.

        A terminal status stays, but for copies of open tasks that are believed for a moment.
        """
        is_end = status in TERMINAL
        with self._lock:
            before = self.ended.get(task_id)
            if is_end and before is None:
                self.ended[task_id] = End(status, time.monotonic())
        if before is not None and status != before.status:
            age_s = asked_s - before.read_s
            if is_end or age_s > BELIEVED_S:
                self.find(
                    f"task {task_id} was {before.status} and is read as {status} {age_s:.1f} s on"
                )
        return is_end

    def count(self, answer: str) -> None:
        """One more answer of this kind."""
        with self._lock:
            self.answers[answer] += 1
