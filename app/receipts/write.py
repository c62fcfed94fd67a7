"""The writes that every change of receipts is made of: guarded, atomic, acknowledged.

Losing a race is a return value (None). A write that names the holder's token may be repeated
without harm; one without a token gives None where an earlier try of its own was the one that won.
Each committed write refreshes the copy in Redis.
"""

import copy
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, Self

import structlog
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from app.database import Document, T, is_away, transact
from app.receipts.cache import ReceiptCache
from app.receipts.receipt import Receipt
from app.receipts.tally import OTHER, Measure, added, counts_of
from app.receipts.transition import TOLD, Move, touch, transition
from app.receipts.write_behind import Written

log = structlog.get_logger(__name__)

COLLECTION: Final = "tasks"
# What reads and answers leave in MongoDB: either may be large.
BRIEF: Final = {"history": 0, "checkpoint": 0}
WITH_CHECKPOINT: Final = {"history": 0}
# Well under the time after which a process takes an answer for lost and sends a write again: what
# was lost must not be carried out later still, when others have gone on.
ANSWER_MS: Final = 5_000
# A receipt is locked while its job commits a step: long enough for that, as a rule.
HURRIED_MS: Final = 1_000
TRANSACTION: Final = timedelta(seconds=10)

# Writes of a job that belong to its report, in one transaction with it.
Effect = Callable[[ClientSession], object]


class GuardedWrites:
    """The collection of receipts, as it is written."""

    def __init__(
        self,
        database: Database[Document],
        cache: ReceiptCache,
        *,
        retention: timedelta,
        patience: timedelta = timedelta(0),
    ) -> None:
        """`patience` is how long an operation outlasts a MongoDB that is away, in workers."""
        self.tasks = database[COLLECTION]
        self.cache = cache
        self.retrying = Retrying(
            retry=retry_if_exception(is_away),
            stop=stop_after_delay(patience.total_seconds()),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        )
        self._retention = retention
        self._answer_ms = ANSWER_MS

    def hurried(self) -> Self:
        """The same for whom many depend on: a change of one receipt that is locked by an open
        transaction raises `OperationFailure` after a second, and nothing is tried again.
        """
        other = copy.copy(self)
        other.retrying = self.retrying.copy(stop=stop_after_attempt(1))
        other._answer_ms = HURRIED_MS
        return other

    def insert(self, documents: Sequence[Document], *, session: ClientSession) -> None:
        """Stores new receipts in a transaction of the caller's, who calls `committed` for each
        of them after the commit.
        """
        self.tasks.insert_many(documents, session=session)

    def insert_all(self, documents: Sequence[Document]) -> list[Receipt]:
        """Stores new receipts, in order: all of them or none."""
        if len(documents) == 1:
            self.tasks.insert_many(documents)  # atomic by itself, and without a commit to wait for
        elif documents:
            self._transact(lambda session: self.insert(documents, session=session))
        return self.committed_all(documents)

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
        effect: Effect | None = None,
    ) -> Receipt | None:
        """One guarded transition; with `token`, a repeat finds the move that it made before.

        `effect` is stored with it in one transaction, or neither is.
        """
        if token is None:  # somebody else's move: the last holder's token is worth nothing now
            sets = {"last_token": None, **sets}
        update = transition(move, sets, attempt=attempt, retention=self._retention)
        guarded = {"_id": task_id, **move.guard, **guard}
        if effect is None:
            document = self._update(guarded, update, projection)
        else:
            document = self._update_with(effect, guarded, update, projection)
        if document is None:
            if token is None:
                return None
            made = {"_id": task_id, "status": move.to.value, "last_token": token}
            document = self.retrying(self.tasks.find_one, made, projection)
            return Receipt.from_document(document) if document else None
        return self.committed(document, move=move)

    def change(
        self, task_id: str, sets: Mapping[str, object], *, guard: Mapping[str, object]
    ) -> Receipt | None:
        """One guarded change that leaves the status as it is."""
        document = self._update({"_id": task_id, **guard}, touch(sets), WITH_CHECKPOINT)
        return None if document is None else self.committed(document)

    def change_with(
        self,
        task_id: str,
        sets: Mapping[str, object],
        effect: Effect,
        *,
        guard: Mapping[str, object],
    ) -> Receipt | None:
        """One guarded change and the effect, in one transaction that begins with the guard.

        Both once: a try whose answer was lost is found again by the mark that it left.
        """
        mark = {"last_commit": uuid.uuid4().hex}
        update = touch({**sets, **mark})
        tries = itertools.count()

        def write(session: ClientSession) -> Document | None:
            if next(tries) and (made := self._marked(task_id, mark, session)) is not None:
                return made
            guarded = {"_id": task_id, **guard}
            return self._carry(effect, guarded, update, WITH_CHECKPOINT, session)

        document = self.retrying(self._transact, write)
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
            self.cache.tally.add(added(Measure.MOVED, move.to, OTHER, count))
            self.cache.nudge()
        return count

    def change_many(self, sets: Mapping[str, object], *, among: Mapping[str, object]) -> int:
        """The same change of many tasks in one write, counted; their status stays as it is."""
        return self._update_many(dict(among), touch(sets))

    def committed(self, document: Document, *, move: Move | None = None) -> Receipt:
        """What follows each write: the copy in Redis, and a transition's line and counts."""
        written = _written(document, move)
        self.cache.put(written.receipt, counts=written.counts, is_event=written.is_event)
        return written.receipt

    def committed_all(self, documents: Sequence[Document]) -> list[Receipt]:
        """The same of many new receipts, with a round trip for all."""
        written = [_written(document, None) for document in documents]
        self.cache.put_all(written)
        return [each.receipt for each in written]

    def _transact(self, write: Callable[[ClientSession], T]) -> T:
        return transact(self.tasks.database, write, within=TRANSACTION)

    def _marked(self, task_id: str, mark: Document, session: ClientSession) -> Document | None:
        return self.tasks.find_one({"_id": task_id, **mark}, WITH_CHECKPOINT, session=session)

    def _update_with(
        self, effect: Effect, guard: Document, update: list[Document], projection: Document
    ) -> Document | None:
        def write(session: ClientSession) -> Document | None:
            return self._carry(effect, guard, update, projection, session)

        document: Document | None = self.retrying(self._transact, write)
        return document

    def _carry(
        self,
        effect: Effect,
        guard: Document,
        update: list[Document],
        projection: Document,
        session: ClientSession,
    ) -> Document | None:
        """The guarded update within a transaction, and the effect after it: not without it."""
        document: Document | None = self.tasks.find_one_and_update(
            guard,
            update,
            projection=projection,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if document is not None:
            effect(session)
        return document

    def _update_many(self, guard: Document, update: list[Document]) -> int:
        return self.retrying(self.tasks.update_many, guard, update).matched_count

    def _update(
        self, guard: Document, update: list[Document], projection: Document
    ) -> Document | None:
        return self.retrying(
            self.tasks.find_one_and_update,
            guard,
            update,
            projection=projection,
            return_document=ReturnDocument.AFTER,
            maxTimeMS=self._answer_ms,
        )


def _written(document: Document, move: Move | None) -> Written:
    """A receipt as it was stored; of a transition with its line in the log, and its counts."""
    receipt = Receipt.from_document(document)
    if move is None and receipt.version > 1:
        return Written(receipt)
    log.info(
        "task.moved",
        task_id=receipt.task_id,
        task_type=receipt.task_type,
        status=receipt.status.value,
        attempt=receipt.attempt,
        reason=move.reason if move else None,
    )
    return Written(receipt, counts_of(receipt, move), is_told(receipt, move))


def is_told(receipt: Receipt, move: Move | None) -> bool:
    """Whether others are told of a receipt that was stored first (no move), or moved."""
    if receipt.parent_task_id is not None:
        return False
    return receipt.version == 1 if move is None else move.to in TOLD
