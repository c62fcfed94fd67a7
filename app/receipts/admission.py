"""The door of a namespace that has a quota: what comes in is held, and let in where there is room.

Each step is one transaction that begins with a write to the namespace's document, so two never
count at once. `max_pending` bounds what waits, held or let in; `max_running` bounds what was let
in and has not ended: tasks that wait for a worker, and tasks that run. SUSPENDED ones do not count.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pymongo.client_session import ClientSession

from app.broker import CONTROL_QUEUE
from app.database import Document, transact
from app.errors import TooManyRequestsError
from app.identity import new_id
from app.receipts.draft import new_document, this_moment
from app.receipts.hold import (
    ADMITTED_UNASKED,
    HELD_BACK,
    HELD_FROM_NOW_ON,
    STATE,
    Admission,
    admitted,
    held,
)
from app.receipts.lane import LANES, LaneStore
from app.receipts.quota import QuotaStore
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.receipts.transition import NOW, touch
from app.receipts.write import TRANSACTION
from app.receipts.write_behind import Written

ADMITTED_PER_STEP: Final = 1_000  # as many as one request may submit
# When some of what waits may have gone.
RETRY_AFTER_S: Final = 5

PENDING: Final = TaskStatusEnum.PENDING.value
PROCESSING: Final = TaskStatusEnum.PROCESSING.value
SUSPENDED: Final = TaskStatusEnum.SUSPENDED.value
_HELD: Final[Document] = {STATE: Admission.HELD.value, "status": PENDING}
# What a stop was asked for is not let in: no worker would take it.
_DUE: Final[Document] = {
    "cancellation": None,
    "suspension": None,
    "$expr": {"$lte": ["$not_before", NOW]},
}


class AdmissionStore:
    """Drafts new receipts, and holds and lets in what a quota counts."""

    def __init__(self, receipts: ReceiptStore, quotas: QuotaStore, lanes: LaneStore) -> None:
        self._receipts = receipts
        self._tasks = receipts.tasks
        self._quotas = quotas
        self._lanes = lanes

    def draft(self, tasks: Sequence[NewTask]) -> list[Document]:
        """The receipts of new tasks of one namespace: control tasks, or such as a quota counts."""
        at = this_moment()
        documents = [new_document(new_id("tsk", task.place), task, at=at) for task in tasks]
        namespace_id = tasks[0].namespace_id
        if tasks[0].queue != CONTROL_QUEUE and self._quotas.of(namespace_id).is_set:
            return [held(document, at=at) for document in documents]
        counts = Counter(task.queue for task in tasks)
        lanes = {
            queue: self._lanes.lane(queue, namespace_id=namespace_id, count=count)
            for queue, count in counts.items()
        }
        return [{**document, "queue": lanes[document["queue"]]} for document in documents]

    def insert(self, documents: Sequence[Document], session: ClientSession) -> list[Document]:
        """Stores the first of these, those that the quota has room for, in a transaction of the
        caller's, and returns them; an earlier run of the same request may have stored some.

        After the commit, held tasks need somebody to `open` the door.
        """
        if "admission" not in documents[0]:
            self._receipts.insert(documents, session=session)
            return list(documents)
        namespace_id = documents[0]["namespace_id"]
        quota = self._quotas.lock(namespace_id, session)
        ids = [document["_id"] for document in documents]
        there = {
            row["_id"]: row for row in self._tasks.find({"_id": {"$in": ids}}, session=session)
        }
        new = [document for document in documents if document["_id"] not in there]
        if quota.max_pending is not None:
            new = new[: max(0, quota.max_pending - self._count(namespace_id, [PENDING], session))]
        if new:
            self._receipts.insert(new, session=session)
        there |= {document["_id"]: document for document in new}
        return [there[task_id] for task_id in ids if task_id in there]

    def store(self, documents: Sequence[Document]) -> list[Receipt]:
        """The same in a transaction of its own, for documents that are held."""
        stored = transact(
            self._tasks.database,
            lambda session: self.insert(documents, session),
            within=TRANSACTION,
        )
        return self._receipts.committed_all(stored)

    def open(self, namespace_id: str) -> list[Receipt]:
        """Lets in those that wait longest, as many as there is room for up to a bound.

        Their messages are to be sent. Safe to call at any time, and by several at once.
        """
        ids = transact(
            self._tasks.database,
            lambda session: self._admit(namespace_id, session),
            within=TRANSACTION,
        )
        found = {receipt.task_id: receipt for receipt in self._receipts.find_many(ids)}
        receipts = [found[task_id] for task_id in ids if task_id in found]
        self._receipts.cache.put_all([Written(receipt) for receipt in receipts])
        return receipts

    def held_in(self) -> list[str]:
        """Namespaces with tasks that are held."""
        return list(self._tasks.distinct("namespace_id", _HELD))

    def enroll(self, namespace_id: str) -> None:
        """Counts tasks that came before the quota, or unaware of it; safe to repeat."""
        strays: Document = {
            "namespace_id": namespace_id,
            "parent_task_id": None,
            "queue": {"$ne": CONTROL_QUEUE},
            "admission": None,
        }
        waiting = {**strays, "status": {"$in": [PENDING, SUSPENDED]}}
        self._receipts.change_many(HELD_FROM_NOW_ON, among=waiting)
        self._receipts.change_many(ADMITTED_UNASKED, among={**strays, "status": PROCESSING})

    def hold_back(self, namespace_id: str, *, beyond: int) -> None:
        """Holds again what was let in and has not begun, where more than `beyond` are inside.

        Otherwise each change of a quota would send the messages of all that wait once more.
        """
        if self._count(namespace_id, [PENDING, PROCESSING], None, Admission.ADMITTED) <= beyond:
            return
        waiting = {
            STATE: Admission.ADMITTED.value,
            "status": PENDING,
            "namespace_id": namespace_id,
        }
        self._receipts.change_many(HELD_BACK, among=waiting)

    def _admit(self, namespace_id: str, session: ClientSession) -> list[str]:
        quota = self._quotas.lock(namespace_id, session)
        room = ADMITTED_PER_STEP
        if quota.max_running is not None:
            inside = self._count(namespace_id, [PENDING, PROCESSING], session, Admission.ADMITTED)
            room = min(room, quota.max_running - inside)
        if room <= 0:
            return []
        waiting = {**_HELD, "namespace_id": namespace_id, **_DUE}
        order = [("created_at", 1), ("_id", 1)]
        rows = self._tasks.find(waiting, {"_id": 1}, sort=order, limit=room, session=session)
        ids = [row["_id"] for row in rows]
        if ids:
            lane = self._lanes.lane(LANES[0], namespace_id=namespace_id, count=len(ids))
            update = touch(admitted(lane, lanes=LANES))
            self._tasks.update_many({"_id": {"$in": ids}}, update, session=session)
        return ids

    def _count(
        self,
        namespace_id: str,
        statuses: Sequence[str],
        session: ClientSession | None,
        *states: Admission,
    ) -> int:
        """The namespace's counted tasks of these statuses; no state means any."""
        return self._tasks.count_documents(
            {
                STATE: {"$in": [state.value for state in states or Admission]},
                "status": {"$in": list(statuses)},
                "namespace_id": namespace_id,
            },
            session=session,
        )


def beyond_quota() -> TooManyRequestsError:
    """What a task is told that the namespace has no room for."""
    return TooManyRequestsError(
        "As many tasks of this namespace wait as may (quotas.max_pending): submit it again "
        "when some of them have begun",
        retry_after_s=RETRY_AFTER_S,
    )
