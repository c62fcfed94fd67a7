"""The receipts in MongoDB, the truth: each transition is one guarded, atomic update.

Losing a race is a return value (None); every write is acknowledged by the majority before it
returns and may be repeated with the same token without harm.
"""

import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import structlog
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from app.database import Document, T, is_away, is_only_duplicates, transact
from app.errors import NotFoundError
from app.identity import new_id
from app.receipts.cache import ReceiptCache
from app.receipts.draft import new_document, require_storable, this_moment
from app.receipts.index import INDEXES
from app.receipts.progress import Progress
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.transition import NOW, Move, later, literal, touch, transition

log = structlog.get_logger(__name__)

COLLECTION: Final = "tasks"
# What reads and answers leave in MongoDB: either may be large.
BRIEF: Final = {"history": 0, "checkpoint": 0}
WITH_CHECKPOINT: Final = {"history": 0}
# Well under the time after which a worker takes an answer for lost and sends a write again: what
# was lost must not be carried out later still, when others have gone on.
ANSWER_MS: Final = 10_000
TRANSACTION: Final = timedelta(seconds=10)

# Writes of a job that belong to its report, in one transaction with it.
Effect = Callable[[ClientSession], object]

ONE_RETURN_MORE: Final[Document] = {"$add": [{"$ifNull": ["$returns", 0]}, 1]}
FINISHED_FIRST: Final = "the job ended before it could be canceled"
TERMINAL_VALUES: Final = sorted(status.value for status in TERMINAL)


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
    """How a job ended: a terminal status, and what the receipt says of it."""

    status: TaskStatusEnum
    outputs: object = None
    error_message: str | None = None
    traceback: str | None = None
    outcome: str | None = None


class ReceiptStore:
    """Creates, reads and moves receipts; each committed write refreshes the copy in Redis."""

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
        self.tasks = database[COLLECTION]
        self.cache = cache
        self._lease = lease
        self._retention = retention
        self._retrying = Retrying(
            retry=retry_if_exception(is_away),
            stop=stop_after_delay(patience.total_seconds()),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        )

    def ensure_indexes(self) -> None:
        """Makes the indexes that reads, sweeps and retention run on; safe to repeat."""
        self.tasks.create_indexes(INDEXES)

    def create(self, tasks: Sequence[NewTask]) -> list[Receipt]:
        """Stores PENDING receipts, in order, all acknowledged by the majority or none returned.

        A request that is repeated finds what its first run stored, and adds what that refused.
        """
        at = this_moment()
        documents = [new_document(new_id("tsk", task.place), task, at=at) for task in tasks]
        try:
            return self._insert_all(documents)
        except BulkWriteError as exc:
            if not is_only_duplicates(exc):
                raise
        ids = [document["_id"] for document in documents]
        stored = {receipt.task_id: receipt for receipt in self.find_many(ids)}
        missing = [document for document in documents if document["_id"] not in stored]
        stored |= {receipt.task_id: receipt for receipt in self._insert_all(missing)}
        return [stored[task_id] for task_id in ids]

    def insert(self, documents: Sequence[Document], *, session: ClientSession) -> None:
        """Stores new receipts in a transaction of the caller's, who calls `committed` for each
        of them after the commit.
        """
        self.tasks.insert_many(documents, session=session)

    def _insert_all(self, documents: Sequence[Document]) -> list[Receipt]:
        if documents:
            self._transact(lambda session: self.insert(documents, session=session))
        return [self.committed(document) for document in documents]

    def get(self, task_id: str, *, namespace_id: str | None = None) -> Receipt:
        """The receipt in MongoDB, or `NotFoundError`; `namespace_id` None is for our own code."""
        receipt = self.find(task_id, namespace_id=namespace_id)
        if receipt is None:
            raise NotFoundError(f"There is no task '{task_id}'.")
        return receipt

    def find(self, task_id: str, *, namespace_id: str | None = None) -> Receipt | None:
        """The receipt in MongoDB, or None: it never was, or it is past its retention."""
        scope = _scoped(task_id, namespace_id)
        document = self._retrying(self.tasks.find_one, scope, BRIEF)
        return Receipt.from_document(document) if document else None

    def find_many(self, task_ids: Sequence[str]) -> list[Receipt]:
        """Those of the receipts that there are, in no order."""
        found = self.tasks.find({"_id": {"$in": list(task_ids)}}, BRIEF)
        return [Receipt.from_document(document) for document in found]

    def history(self, task_id: str, *, namespace_id: str) -> list[Document]:
        """Every transition in order: seq, from, to, at, actor, attempt, worker, reason,
        traceback."""
        document = self.tasks.find_one(_scoped(task_id, namespace_id), {"history": 1})
        if document is None:
            raise NotFoundError(f"There is no task '{task_id}'.")
        return list(document["history"])

    def claim(self, task_id: str, holder: Holder) -> Receipt | None:
        """Takes a PENDING task for a new attempt, or None: not waiting, canceled, or not yet due.

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
        return self._change_with({"_id": task_id, **guard}, sets, effect)

    def finish(self, task_id: str, token: str, ending: Ending, *, worker: str) -> Receipt | None:
        """Ends the attempt and the task with it, or None: the token is stale.

        Raises `PermanentError`, and changes nothing, for outputs that are not JSON: nobody could
        read the receipt.
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
        return self.move(task_id, move, sets=sets, guard={"lease.token": token}, token=token)

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
        sets = {"lease": None, "published_at": None, "not_before": later(delay)}
        return self.move(task_id, move, sets=sets, guard=guard, token=token)

    def give_back(self, task_id: str, token: str, move: Move) -> Receipt | None:
        """Ends an attempt without a fault, in PENDING or SUSPENDED, or None: the token is stale,
        or, towards SUSPENDED, nobody asks for a pause any more.
        """
        sets = {
            "lease": None,
            "published_at": None,
            "returns": ONE_RETURN_MORE,
        }
        guard: Document = {"lease.token": token}
        if move.to is TaskStatusEnum.SUSPENDED:
            guard["suspension"] = {"$ne": None}
        return self.move(task_id, move, sets=sets, guard=guard, token=token)

    def move(
        self,
        task_id: str,
        move: Move,
        *,
        sets: Mapping[str, object],
        guard: Mapping[str, object],
        attempt: object = "$attempt",
        token: str | None = None,
        projection: Document = BRIEF,
    ) -> Receipt | None:
        """One guarded transition; with `token`, a repeat finds the move that it made before."""
        if token is None:  # somebody else's move: the last holder's token is worth nothing now
            sets = {"last_token": None, **sets}
        update = transition(move, sets, attempt=attempt, retention=self._retention)
        document = self._update({"_id": task_id, **move.guard, **guard}, update, projection)
        if document is None:
            if token is None:
                return None
            made = {"_id": task_id, "status": move.to.value, "last_token": token}
            document = self._retrying(self.tasks.find_one, made, projection)
            return Receipt.from_document(document) if document else None
        return self.committed(document, move=move)

    def change(
        self, task_id: str, sets: Mapping[str, object], *, guard: Mapping[str, object]
    ) -> Receipt | None:
        """One guarded change that leaves the status as it is."""
        document = self._update({"_id": task_id, **guard}, touch(sets), WITH_CHECKPOINT)
        return None if document is None else self.committed(document)

    def move_many(
        self, move: Move, *, sets: Mapping[str, object], among: Mapping[str, object]
    ) -> int:
        """The same transition of many tasks in one write, counted; each is atomic by itself.

        Their copies in Redis are not refreshed: nobody believes a copy of an open task for long.
        """
        update = transition(move, {**sets, "last_token": None}, retention=self._retention)
        count = self._update_many({**among, **move.guard}, update)
        if count:
            log.info("tasks.moved", status=move.to.value, count=count, reason=move.reason)
        return count

    def change_many(self, sets: Mapping[str, object], *, among: Mapping[str, object]) -> int:
        """The same change of many tasks in one write, counted; their status stays as it is."""
        return self._update_many(dict(among), touch(sets))

    def committed(self, document: Document, *, move: Move | None = None) -> Receipt:
        """What follows each write: the copy in Redis, and one line in the log for a transition."""
        receipt = Receipt.from_document(document)
        if move is not None or receipt.version == 1:
            log.info(
                "task.moved",
                task_id=receipt.task_id,
                task_type=receipt.task_type,
                status=receipt.status.value,
                attempt=receipt.attempt,
                reason=move.reason if move else None,
            )
        self.cache.put(receipt)
        return receipt

    def _change_with(self, guard: Document, sets: Document, effect: Effect) -> Receipt | None:
        """The change and the effect, in one transaction that begins with the change's guard.

        Both once: a try whose answer was lost is found again by the mark that it left.
        """
        mark = {"last_commit": uuid.uuid4().hex}
        update = touch({**sets, **mark})
        tries = itertools.count()

        def write(session: ClientSession) -> Document | None:
            if next(tries) and (made := self._marked(guard["_id"], mark, session)) is not None:
                return made
            document: Document | None = self.tasks.find_one_and_update(
                guard,
                update,
                projection=WITH_CHECKPOINT,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if document is not None:
                effect(session)
            return document

        document = self._retrying(self._transact, write)
        return None if document is None else self.committed(document)

    def _transact(self, write: Callable[[ClientSession], T]) -> T:
        return transact(self.tasks.database, write, within=TRANSACTION)

    def _marked(self, task_id: str, mark: Document, session: ClientSession) -> Document | None:
        return self.tasks.find_one({"_id": task_id, **mark}, WITH_CHECKPOINT, session=session)

    def _update_many(self, guard: Document, update: list[Document]) -> int:
        return self._retrying(self.tasks.update_many, guard, update).matched_count

    def _update(
        self, guard: Document, update: list[Document], projection: Document
    ) -> Document | None:
        return self._retrying(
            self.tasks.find_one_and_update,
            guard,
            update,
            projection=projection,
            return_document=ReturnDocument.AFTER,
            maxTimeMS=ANSWER_MS,
        )


def _outcome(outcome: str) -> Document:
    """The stored cancellation, if there is one, with how it came out."""
    resolved = {"$mergeObjects": ["$cancellation", {"outcome": literal(outcome)}]}
    return {"$cond": [{"$eq": ["$cancellation", None]}, None, resolved]}


def _scoped(task_id: str, namespace_id: str | None) -> Document:
    scope: Document = {"_id": task_id}
    return scope if namespace_id is None else {**scope, "namespace_id": namespace_id}
