"""Tasks that fan out: children in place of a long run, and the parent that they finish.

A parent that has fanned out stays PROCESSING without a lease, since none of its code runs.
The child that ends last has its parent's message sent; whoever then takes the parent's lease
concludes it, once. A crash anywhere in between is found by the `conclude` sweep.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from pymongo import UpdateOne

from app.database import AT_ONE_MOMENT, Document
from app.identity import derived_id
from app.receipts.draft import new_document
from app.receipts.lane import LaneStore
from app.receipts.progress import Progress, advance, begin
from app.receipts.receipt import NewTask, Piece, Receipt
from app.receipts.status import TERMINAL_VALUES, TaskStatusEnum
from app.receipts.store import Holder, ReceiptStore
from app.receipts.tally import Measure, added
from app.receipts.transition import NOW, earlier, literal
from app.receipts.write import BRIEF

CHILDREN_PER_WRITE: Final = 500
ROLL_UP_INTERVAL: Final = timedelta(seconds=1)
# A conclusion's message is on its way for about this long before the sweep sends another.
CALLED_AGAIN_AFTER: Final = timedelta(seconds=10)

_FANNED_OUT: Final[Document] = {
    "status": TaskStatusEnum.PROCESSING.value,
    "fan_out": {"$ne": None},
}
_CONCLUDABLE: Final[Document] = {**_FANNED_OUT, "lease": None}

# What gives a conclusion back, for the next sweep to call again at once.
RELEASED: Final[Document] = {"lease": None, "fan_out.called_at": earlier(CALLED_AGAIN_AFTER)}


@dataclass(frozen=True, slots=True)
class Children:
    """How the children of a parent ended: how many by status, their outputs summed by key."""

    by_status: dict[TaskStatusEnum, int]
    sums: dict[str, int]
    first_error: str | None

    @property
    def unfinished(self) -> int:
        """Children that ended without doing their part: failed, or canceled one by one."""
        return self.total - self.by_status.get(TaskStatusEnum.COMPLETED, 0)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


class FamilyStore:
    """Parents and children among the receipts."""

    def __init__(self, receipts: ReceiptStore, lanes: LaneStore) -> None:
        self._receipts = receipts
        self._tasks = receipts.tasks
        self._at_one_moment = receipts.tasks.with_options(read_concern=AT_ONE_MOMENT)
        self._lanes = lanes

    def create_children(
        self, parent: Receipt, task_type: str, pieces: Iterable[Piece], *, at: datetime
    ) -> int:
        """Stores a PENDING child for each piece and returns the sum of their units.

        A child's id comes of its parent and ordinal: planning again after a crash adds nothing.
        """
        units = stored = 0
        left = iter(pieces)
        while some := list(islice(left, CHILDREN_PER_WRITE)):
            lane = self._lanes.lane(parent.queue, namespace_id=parent.namespace_id, count=len(some))
            children = [_child_document(parent, task_type, each, lane, at=at) for each in some]
            writes = [
                UpdateOne({"_id": child["_id"]}, {"$setOnInsert": child}, upsert=True)
                for child in children
            ]
            stored += self._tasks.bulk_write(writes, ordered=False).upserted_count
            units += sum(piece.units for piece in some)
        pending = added(Measure.MOVED, TaskStatusEnum.PENDING, task_type, stored)
        self._receipts.cache.tally.add(pending)
        return units

    def fan_out(self, parent: Receipt, token: str, *, units: int) -> Receipt | None:
        """Gives the parent's lease up to its children, or None: the token is stale."""
        sets: Document = {
            "fan_out": {"units": units, "conclusions": 0, "called_at": NOW},
            "lease": None,
            # Later samples have MongoDB's clock, so the first one has it, too.
            "progress": {
                "$mergeObjects": [
                    literal(asdict(begin(units, parent.updated_at))),
                    {"at": NOW, "since": NOW},
                ]
            },
        }
        return self._receipts.change(parent.task_id, sets, guard={"lease.token": token})

    def waiting(self, parent_id: str) -> list[Receipt]:
        """The PENDING children, in order; empty when all are taken."""
        query = {"parent_task_id": parent_id, "status": TaskStatusEnum.PENDING.value}
        cursor = self._tasks.find(query, BRIEF).sort("ordinal", 1)
        return [Receipt.from_document(document) for document in cursor]

    def running(self, parent_id: str) -> list[Receipt]:
        """The children that a worker holds."""
        query = {"parent_task_id": parent_id, "status": TaskStatusEnum.PROCESSING.value}
        return [Receipt.from_document(row) for row in self._tasks.find(query, BRIEF)]

    def is_complete(self, parent_id: str) -> bool:
        """Whether no child is open. Of a task that has fanned out, once true it stays true;
        of one that is still planning it says nothing.
        """
        query = {"parent_task_id": parent_id, "status": {"$nin": TERMINAL_VALUES}}
        return self._at_one_moment.count_documents(query, limit=1) == 0

    def claim_conclusion(self, parent_id: str, holder: Holder) -> Receipt | None:
        """Takes the lease of a parent whose children have all ended, or None.

        None where the task has not fanned out, children are open, or somebody has the lease.
        Bounded like an attempt: a conclusion that kills its worker each time ends the task.
        """
        parent = self._receipts.find(parent_id)
        # In this order: a parent that is still planning has no children, so none are open.
        if parent is None or not parent.fanned_out or not self.is_complete(parent_id):
            return None
        sets: Document = {
            **self._receipts.held_by(holder),
            "fan_out.conclusions": {"$add": ["$fan_out.conclusions", 1]},
        }
        return self._receipts.change(parent_id, sets, guard=_CONCLUDABLE)

    def children(self, parent_id: str) -> Children:
        """How the children ended; integer outputs are summed by their key."""
        grouped = self._tasks.aggregate(
            [
                {"$match": {"parent_task_id": parent_id}},
                {"$group": {"_id": "$status", "count": {"$sum": 1}}},
            ]
        )
        by_status = {TaskStatusEnum(row["_id"]): int(row["count"]) for row in grouped}
        sums: dict[str, int] = {}
        projection = {"outputs": 1}
        for row in self._tasks.find({"parent_task_id": parent_id}, projection):
            for output in row["outputs"] or []:
                for key, value in _counts(output):
                    sums[key] = sums.get(key, 0) + value
        failed = self._tasks.find_one(
            {"parent_task_id": parent_id, "status": TaskStatusEnum.FAILED.value},
            {"error_message": 1},
            sort=[("ordinal", 1)],
        )
        return Children(by_status, sums, failed["error_message"] if failed else None)

    def release(self, parent_id: str, token: str) -> Receipt | None:
        """Gives a conclusion back for the sweep to begin again, or None: the token is stale."""
        return self._receipts.change(parent_id, RELEASED, guard={"lease.token": token})

    def overdue(self) -> list[Receipt]:
        """Parents to call again: their children have all ended, and nobody concludes them.

        Each is named once in `CALLED_AGAIN_AFTER`, whoever asks.
        """
        is_due = {"$lte": ["$fan_out.called_at", earlier(CALLED_AGAIN_AFTER)]}
        query = {**_CONCLUDABLE, "$expr": is_due}
        found = self._tasks.find(query, {"_id": 1})
        called = [
            self._receipts.change(
                row["_id"],
                {"fan_out.called_at": NOW},
                guard=query,
            )
            for row in found
            if self.is_complete(row["_id"])
        ]
        return [parent for parent in called if parent is not None]

    def left_behind(self) -> list[Receipt]:
        """Parents that have ended and have SUSPENDED children still, which nobody would wake.

        Children that are PENDING need no care: they end when a worker takes them.
        """
        suspended = {"status": TaskStatusEnum.SUSPENDED.value, "parent_task_id": {"$ne": None}}
        parents = self._receipts.find_many(self._tasks.distinct("parent_task_id", suspended))
        return [parent for parent in parents if parent.is_terminal]

    def roll_up(self, parent_id: str, *, interval: timedelta = ROLL_UP_INTERVAL) -> Receipt | None:
        """Sums the children's progress into the parent's, once an interval whoever asks.

        None where another was first: the sample it started from decides.
        """
        parent = self._tasks.find_one({"_id": parent_id}, {"progress": 1, "now": NOW})
        if parent is None or parent["progress"] is None:
            return None
        before = Progress(**parent["progress"])
        if parent["now"] - before.at < interval:
            return None
        done, errors = self._sum(parent_id)
        progress = advance(before, done=done, total=before.total, errors=errors, at=parent["now"])
        return self._receipts.change(
            parent_id,
            {"progress": literal(asdict(progress))},
            guard={**_FANNED_OUT, "progress.at": before.at},
        )

    def _sum(self, parent_id: str) -> tuple[int, int]:
        rows = self._at_one_moment.aggregate(
            [
                {"$match": {"parent_task_id": parent_id}},
                {
                    "$group": {
                        "_id": None,
                        "done": {"$sum": _DONE},
                        "errors": {"$sum": "$progress.errors"},
                    }
                },
            ]
        )
        row = next(iter(rows), {"done": 0, "errors": 0})
        return int(row["done"]), int(row["errors"])


# A child that never reported has still done its part once it is COMPLETED.
_DONE: Final[Document] = {
    "$cond": [
        {"$eq": ["$status", TaskStatusEnum.COMPLETED.value]},
        "$units",
        "$progress.done",
    ]
}


def _counts(output: object) -> list[tuple[str, int]]:
    if not isinstance(output, dict):
        return []
    return [
        (str(key), value)
        for key, value in output.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]


def _child_document(
    parent: Receipt, task_type: str, piece: Piece, queue: str, *, at: datetime
) -> Document:
    child_id = derived_id("tsk", like=parent.task_id, key=f"{parent.task_id}:{piece.ordinal}")
    task = NewTask(
        task_type=task_type,
        namespace_id=parent.namespace_id,
        inputs=piece.inputs,
        actor=f"task:{parent.task_id}",
        additional_data=parent.additional_data,
        max_attempts=parent.max_attempts,
        queue=queue,
    )
    document = new_document(child_id, task, at=at)
    document.pop("untold_since")  # nobody is told of a child
    return {
        **document,
        "parent_task_id": parent.task_id,
        "plan": parent.attempt,  # the attempt of the parent that planned, woke or suspended it last
        "ordinal": piece.ordinal,
        "units": piece.units,
    }
