"""Which of the jobs' queues a task waits in, so that no namespace's flood is in another's way.

Workers take from all of these in turn. What a namespace submits while it has little waiting goes
to the first; a flood goes to one of the backlogs, whole, where it waits behind itself. Each
namespace has two backlogs to choose from, and its flood goes to the emptier one, so two floods
share one only where there are about as many floods as backlogs.
"""

import hashlib
from typing import Final

from pymongo.collection import Collection

from app.broker import BACKLOG_QUEUES, JOBS_QUEUE
from app.database import Document
from app.receipts.status import TaskStatusEnum

LANES: Final = (JOBS_QUEUE, *BACKLOG_QUEUES)
# What of one namespace may wait in the first queue, where others' single tasks stand behind it.
FIRST: Final = 8
# Beyond this, a backlog is as full as any other.
COMPARED: Final = 1_000

PENDING: Final = TaskStatusEnum.PENDING.value


class LaneStore:
    """Chooses queues by what waits, in a read or two, which touch an index only.

    What two processes submit at one moment may exceed `FIRST` a little.
    """

    def __init__(self, tasks: Collection[Document]) -> None:
        self._tasks = tasks

    def lane(self, queue: str, *, namespace_id: str, count: int) -> str:
        """Where `count` more tasks of a namespace go that are meant for `queue`.

        A queue that is none of the lanes is a job type's own, and stays.
        """
        if queue not in LANES:
            return queue
        waiting = self._waiting(namespace_id)
        if len(waiting) + count <= FIRST:
            return JOBS_QUEUE
        if waiting and waiting[0] in BACKLOG_QUEUES:
            return waiting[0]  # behind its own
        return min(candidates(namespace_id), key=self._length)

    def _waiting(self, namespace_id: str) -> list[str]:
        """The queues of tasks of the namespace that wait, those of backlogs before the first's;
        no more than matter.
        """
        rows = self._tasks.find(
            {"namespace_id": namespace_id, "status": PENDING, "queue": {"$in": list(LANES)}},
            {"_id": 0, "queue": 1},
            sort=[("queue", -1)],
            limit=FIRST,
        )
        return [row["queue"] for row in rows]

    def _length(self, queue: str) -> int:
        return self._tasks.count_documents({"queue": queue, "status": PENDING}, limit=COMPARED)


def candidates(namespace_id: str) -> tuple[str, str]:
    """The namespace's two backlogs, always the same and never one twice, the better first."""
    digest = hashlib.sha256(namespace_id.encode()).digest()
    one = digest[0] % len(BACKLOG_QUEUES)
    step = 1 + digest[1] % (len(BACKLOG_QUEUES) - 1)
    return BACKLOG_QUEUES[one], BACKLOG_QUEUES[(one + step) % len(BACKLOG_QUEUES)]
