"""The receipts in MongoDB, the truth: created, read, and moved through their attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import structlog
from pymongo import DESCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.database import AT_ONE_MOMENT, Document, is_only_duplicates
from app.errors import NotFoundError
from app.identity import new_id
from app.receipts.cache import ReceiptCache
from app.receipts.draft import new_document, require_storable, this_moment
from app.receipts.hold import BACK_TO_THE_DOOR, STATE, Admission
from app.receipts.index import INDEXES
from app.receipts.progress import Progress
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.transition import NOW, ONE_RETURN_MORE, Move, later, literal
from app.receipts.write import BRIEF, WITH_CHECKPOINT, Effect, GuardedWrites

log = structlog.get_logger(__name__)

FINISHED_FIRST: Final = "the job ended before it could be canceled"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims: `token` is unique to the attempt, `keeper` to the process that renews it.

    `job_id` is Celery's id of the message that brought the task.
    """

    token: str
    worker: str
    keeper: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: a terminal status, what the receipt says, and what is stored with it."""

    status: TaskStatusEnum
    outputs: object = None
    error_message: str | None = None
    traceback: str | None = None
    outcome: str | None = None
    effect: Effect | None = None


class ReceiptStore(GuardedWrites):
    """Creates and reads receipts, and moves them through their attempts."""

    def __init__(
        self,
        database: Database[Document],
        cache: ReceiptCache,
        *,
        lease: timedelta,
        retention: timedelta,
        patience: timedelta = timedelta(0),
    ) -> None:
        """`patience` is how long an operation outlasts a MongoDB that is away, in workers."""
        super().__init__(database, cache, retention=retention, patience=patience)
        self._lease = lease

    def ensure_indexes(self) -> None:
        """Makes the indexes that reads, sweeps and retention run on; safe to repeat."""
        self.tasks.create_indexes(INDEXES)

    def create(self, tasks: Sequence[NewTask]) -> list[Receipt]:
        """Stores PENDING receipts, in order, all acknowledged by the majority or none returned.

        A request that is repeated finds what its first run stored, and adds what that refused.
        """
        at = this_moment()
        return self.add([new_document(new_id("tsk", task.place), task, at=at) for task in tasks])

    def add(self, documents: Sequence[Document]) -> list[Receipt]:
        """The same of receipts that were drafted before."""
        try:
            return self.insert_all(documents)
        except BulkWriteError as exc:
            if not is_only_duplicates(exc):
                raise
        ids = [document["_id"] for document in documents]
        stored = {receipt.task_id: receipt for receipt in self.find_many(ids)}
        missing = [document for document in documents if document["_id"] not in stored]
        stored |= {receipt.task_id: receipt for receipt in self.insert_all(missing)}
        return [stored[task_id] for task_id in ids]

    def get(self, task_id: str, *, namespace_id: str | None = None) -> Receipt:
        """The receipt in MongoDB, or `NotFoundError`; `namespace_id` None is for our own code."""
        receipt = self.find(task_id, namespace_id=namespace_id)
        if receipt is None:
            raise NotFoundError(f"There is no task '{task_id}'.")
        return receipt

    def find(self, task_id: str, *, namespace_id: str | None = None) -> Receipt | None:
        """The receipt in MongoDB, or None: it never was, or it is past its retention."""
        scope = _scoped(task_id, namespace_id)
        document = self.retrying(self.tasks.find_one, scope, BRIEF)
        return Receipt.from_document(document) if document else None

    def find_many(
        self, task_ids: Sequence[str], session: ClientSession | None = None
    ) -> list[Receipt]:
        """Those of the receipts that there are, in no order."""
        found = self.tasks.find({"_id": {"$in": list(task_ids)}}, BRIEF, session=session)
        return [Receipt.from_document(document) for document in found]

    def any_open(self, namespace_id: str) -> str | None:
        """The id of a task of the namespace that has not ended, or None."""
        ended = [status.value for status in TERMINAL]
        tasks = self.tasks.with_options(read_concern=AT_ONE_MOMENT)
        found = tasks.find_one({"namespace_id": namespace_id, "status": {"$nin": ended}}, BRIEF)
        return None if found is None else str(found["_id"])

    def last_of(self, task: NewTask) -> Receipt | None:
        """The newest receipt of a task like this one: its namespace, type and inputs."""
        like = {
            "namespace_id": task.namespace_id,
            "parent_task_id": None,
            "task_type": task.task_type,
            "inputs": list(task.inputs),
        }
        found = self.tasks.find_one(like, BRIEF, sort=[("created_at", DESCENDING)])
        return Receipt.from_document(found) if found else None

    def history(self, task_id: str, *, namespace_id: str) -> list[Document]:
        """Every transition in order: seq, from, to, at, actor, attempt, worker, reason,
        traceback."""
        document = self.tasks.find_one(_scoped(task_id, namespace_id), {"history": 1})
        if document is None:
            raise NotFoundError(f"There is no task '{task_id}'.")
        return list(document["history"])

    def claim(self, task_id: str, holder: Holder) -> Receipt | None:
        """Takes a PENDING task for a new attempt, or None: not waiting, canceled, held by a quota,
        or not yet due.

        Repeating a claim whose answer was lost gives the same receipt again.
        """
        move = Move(
            (TaskStatusEnum.PENDING,),
            TaskStatusEnum.PROCESSING,
            actor=f"worker:{holder.worker}",
            worker=holder.worker,
        )
        next_attempt = {"$add": ["$attempt", 1]}
        sets = {
            "attempt": next_attempt,
            "started_at": {"$ifNull": ["$started_at", NOW]},
            **self.held_by(holder),
        }
        guard = {
            "cancellation": None,
            "suspension": None,
            STATE: {"$ne": Admission.HELD.value},
            "$expr": {"$lte": ["$not_before", NOW]},
        }
        return self.move(
            task_id,
            move,
            sets=sets,
            guard=guard,
            attempt=next_attempt,
            token=holder.token,
            projection=WITH_CHECKPOINT,
        )

    def held_by(self, holder: Holder) -> Document:
        """The fields that give `holder` the lease from now on, as update expressions."""
        return {
            "lease": {
                "token": literal(holder.token),
                "worker": literal(holder.worker),
                "keeper": literal(holder.keeper),
                "expires_at": later(self._lease),
            },
            "last_token": literal(holder.token),
            "job_id": literal(holder.job_id),
        }

    def report(
        self,
        task_id: str,
        token: str,
        progress: Progress,
        *,
        checkpoint: object = None,
        effect: Effect | None = None,
    ) -> Receipt | None:
        """Stores progress (and a checkpoint that is not None), or None: the token is stale.

        `effect` is stored with it in one transaction, or not at all; it may be called again
        where MongoDB asks for another try. Raises `PermanentError`, and changes nothing, for a
        checkpoint that is not JSON.
        """
        require_storable("The job's checkpoint", checkpoint)
        sets: Document = {"progress": literal(asdict(progress))}
        if checkpoint is not None:
            sets["checkpoint"] = literal(checkpoint)
        guard = {"lease.token": token}
        if effect is None:
            return self.change(task_id, sets, guard=guard)
        return self.change_with(task_id, sets, effect, guard=guard)

    def finish(self, task_id: str, token: str, ending: Ending, *, worker: str) -> Receipt | None:
        """Ends the attempt and the task with it, or None: the token is stale.

        The ending's effect is stored with it in one transaction, or neither is; what it raises,
        this raises. Raises `PermanentError`, and changes nothing, for outputs that are not JSON:
        nobody could read the receipt.
        """
        require_storable("What the job returned", ending.outputs)
        move = Move(
            (TaskStatusEnum.PROCESSING,),
            ending.status,
            actor=f"worker:{worker}",
            worker=worker,
            reason=ending.outcome or ending.error_message,
            traceback=ending.traceback,
        )
        sets: Document = {
            "outputs": literal(ending.outputs),
            "error_message": literal(ending.error_message),
        }
        sets["cancellation"] = _outcome(ending.outcome or FINISHED_FIRST)
        return self.move(
            task_id,
            move,
            sets=sets,
            guard={"lease.token": token},
            token=token,
            effect=ending.effect,
        )

    def requeue(
        self,
        task_id: str,
        move: Move,
        *,
        guard: Mapping[str, object],
        delay: timedelta = timedelta(0),
        token: str | None = None,
    ) -> Receipt | None:
        """Gives a PROCESSING task back, due after `delay`; the republisher sends its message.

        `token` where it is the holder that gives it back, as in `move`.
        """
        sets = {
            "lease": None,
            "published_at": None,
            "not_before": later(delay),
            **BACK_TO_THE_DOOR,
        }
        return self.move(task_id, move, sets=sets, guard=guard, token=token)

    def give_back(self, task_id: str, token: str, move: Move) -> Receipt | None:
        """Ends an attempt without a fault, in PENDING or SUSPENDED, or None: the token is stale,
        or, towards SUSPENDED, nobody asks for a pause any more.
        """
        sets = {
            "lease": None,
            "published_at": None,
            "returns": ONE_RETURN_MORE,
            **BACK_TO_THE_DOOR,
        }
        guard: Document = {"lease.token": token}
        if move.to is TaskStatusEnum.SUSPENDED:
            guard["suspension"] = {"$ne": None}
        return self.move(task_id, move, sets=sets, guard=guard, token=token)


def _outcome(outcome: str) -> Document:
    """The stored cancellation, if there is one, with how it came out."""
    resolved = {"$mergeObjects": ["$cancellation", {"outcome": literal(outcome)}]}
    return {"$cond": [{"$eq": ["$cancellation", None]}, None, resolved]}


def _scoped(task_id: str, namespace_id: str | None) -> Document:
    scope: Document = {"_id": task_id}
    return scope if namespace_id is None else {**scope, "namespace_id": namespace_id}
