"""One attempt of one task, as a job sees it: inputs, progress, checkpoint, cancellation."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pymongo.errors import PyMongoError

from app.receipts.family import Children
from app.receipts.ledger import Ledger
from app.receipts.progress import Progress, advance, begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
from app.receipts.write import Effect
from workers import outcome, shutdown
from workers.exit import AbortedError, LeaseLostError, PausedError
from workers.outcome import Outcome

log = structlog.get_logger(__name__)

# A report costs one acknowledged write; cancellation is noticed at most this much later.
REPORT_INTERVAL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class FanOut:
    """A job's answer in place of outputs: these pieces, each a child task of type `task_type`."""

    task_type: str
    pieces: Iterable[Piece]


@dataclass(frozen=True, slots=True)
class Completion:
    """A job's answer in place of outputs: these, and what is stored with the COMPLETED receipt.

    `effect(session)` passes the session on to each of its writes to MongoDB; both are stored, in
    one transaction, or neither is. It may be called again where MongoDB asks for another try.
    """

    outputs: object
    effect: Effect


class Attempt:
    """The running attempt, used from the job's own thread."""

    def __init__(
        self, receipt: Receipt, holder: Holder, ledger: Ledger, *, suspendable: bool
    ) -> None:
        self.receipt = receipt
        self.task_id = receipt.task_id
        self.namespace_id = receipt.namespace_id
        self.inputs = receipt.inputs
        self.additional_data = receipt.additional_data
        self.number = receipt.attempt
        self.checkpoint = receipt.checkpoint
        self.worker = holder.worker
        self.outcome: Outcome | None = None  # once it is stored how this attempt ended
        self._token = holder.token
        self._suspendable = suspendable
        self._ledger = ledger
        self._heard_at_s = self._reported_at_s = time.monotonic()
        self._progress = _resume(receipt.progress, at=datetime.now(UTC))
        # What an attempt before this one did, if this one goes on from there.
        self._rows_before = 0 if receipt.checkpoint is None else _rows(self._progress)
        self._rows_done: int | None = None

    def progress(
        self, done: int, total: int | None = None, *, errors: int = 0, checkpoint: object = None
    ) -> None:
        """Reports `done` of `total` units; `checkpoint` is what the next attempt would start from.

        Cheap to call often: reports less than half a second apart are left out, unless one
        carries a checkpoint or is the last. At a checkpoint the job may be left: `AbortedError`
        when the task is to end, `PausedError` when a suspendable one is to go on later. Raises
        `LeaseLostError` when the lease is gone, and `PermanentError` for a checkpoint that is not
        JSON.
        """
        is_due = time.monotonic() - self._reported_at_s >= REPORT_INTERVAL_S
        if is_due or checkpoint is not None or done == total:
            self._report(done, total, errors, checkpoint, None)
        else:
            self._count(done, errors)

    def commit(
        self,
        effect: Effect,
        done: int,
        total: int | None = None,
        *,
        errors: int = 0,
        checkpoint: object = None,
    ) -> None:
        """Reports, and stores what `effect(session)` writes to MongoDB, both or neither.

        An attempt whose lease is gone stores nothing: with a checkpoint, each effect happens
        once, whatever dies. `effect` passes the session on to each of its writes, takes a few
        seconds at most (a transaction has ten), and may be called again where MongoDB asks for
        another try. Raises as `progress` does.
        """
        self._report(done, total, errors, checkpoint, effect)

    def _report(
        self,
        done: int,
        total: int | None,
        errors: int,
        checkpoint: object,
        effect: Effect | None,
    ) -> None:
        progress = advance(
            self._progress, done=done, total=total, errors=errors, at=datetime.now(UTC)
        )
        self._take(
            self._ledger.receipts.report(
                self.task_id, self._token, progress, checkpoint=checkpoint, effect=effect
            )
        )
        self._progress = progress
        self._count(done, errors)
        self._reported_at_s = time.monotonic()
        self._roll_up()
        if checkpoint is not None and done != total:
            self._leave_if_asked()

    def _count(self, done: int, errors: int) -> None:
        self._rows_done = max(0, done - errors - self._rows_before)

    def _leave_if_asked(self) -> None:
        self.raise_if_aborted()
        if not self._suspendable:
            return
        if self.receipt.suspension is not None:
            reason = self.receipt.suspension.reason or "The task was suspended."
            raise PausedError(TaskStatusEnum.SUSPENDED, reason)
        if shutdown.has_begun():
            reason = f"The worker {self.worker} stops; the task goes on from its checkpoint."
            raise PausedError(TaskStatusEnum.PENDING, reason)

    def is_aborted(self) -> bool:
        """Whether the task is to end; asks MongoDB at most twice a second."""
        is_due = time.monotonic() - self._heard_at_s >= REPORT_INTERVAL_S
        if self.receipt.cancellation is None and is_due:
            receipt = self._ledger.receipts.get(self.task_id)
            self._take(receipt if receipt.lease_token == self._token else None)
        return self.receipt.cancellation is not None

    def raise_if_aborted(self) -> None:
        """Leaves the job with `AbortedError` when the task is to end."""
        if self.is_aborted():
            raise AbortedError("The task was canceled.")

    def raise_if_orphaned(self) -> None:
        """Leaves a child whose parent has ended, or is to end, with `AbortedError`.

        A planner that was taken for lost may store children after its task has ended.
        """
        parent_id = self.receipt.parent_task_id
        if parent_id is None:
            return
        parent = self._ledger.receipts.find(parent_id)
        if parent is None or parent.is_terminal or parent.cancellation is not None:
            actor, reason = f"worker:{self.worker}", "the parent task has ended"
            self._ledger.cancellations.request(self.task_id, actor=actor, reason=reason)
            raise AbortedError("The parent task has ended.")

    def children(self) -> Children:
        """How the children of a task that has fanned out ended; brings its progress up to date."""
        self._ledger.families.roll_up(self.task_id, interval=timedelta(0))
        return self._ledger.families.children(self.task_id)

    def fan_out(self, plan: FanOut) -> None:
        """Stores the children, gives the lease up to them, and sends their messages."""
        at = datetime.now(UTC)
        families = self._ledger.families
        pieces = _Counted(plan.pieces)
        units = families.create_children(self.receipt, plan.task_type, pieces, at=at)
        self._wake_children()
        self._take(families.fan_out(self.receipt, self._token, units=units))
        self.outcome = outcome.of_plan(pieces.count)
        self._start_children()

    def end(self, ending: Ending) -> Receipt | None:
        """Ends the task, or None: the lease is gone. The last child calls its parent.

        One that is to be CANCELED while children of an earlier plan run is PENDING until they end.
        """
        is_canceled = ending.status is TaskStatusEnum.CANCELED
        if is_canceled and self._ledger.cancellations.waits_for_children(self.receipt):
            move = Move(
                (TaskStatusEnum.PROCESSING,),
                TaskStatusEnum.PENDING,
                actor=f"worker:{self.worker}",
                reason=ending.outcome,
                worker=self.worker,
            )
            return self.give_back(move, delay=timedelta(0))
        ended = self._ledger.receipts.finish(self.task_id, self._token, ending, worker=self.worker)
        if ended is not None:
            self.outcome = outcome.of_ending(ending, self._rows_done)
        if ended is not None and ending.status is not TaskStatusEnum.COMPLETED:
            # It may have ended while it was planning: its children have nobody to work for.
            reason = f"the parent task is {ended.status}"
            actor = f"worker:{self.worker}"
            self._ledger.cancellations.end_children(self.task_id, actor=actor, reason=reason)
        if ended is not None and ended.parent_task_id is not None:
            self._conclude(self._ledger.receipts.get(ended.parent_task_id))
        self._make_room(ended)
        return ended

    def pause(self, paused: PausedError) -> Receipt | None:
        """Gives the task back with its checkpoint, no attempt spent, or None: the lease is gone.

        A suspension that was withdrawn in the meantime leaves it PENDING, for any worker.
        """
        for status in dict.fromkeys((paused.status, TaskStatusEnum.PENDING)):
            move = Move(
                (TaskStatusEnum.PROCESSING,),
                status,
                actor=f"worker:{self.worker}",
                reason=str(paused),
                worker=self.worker,
            )
            receipt = self._ledger.receipts.give_back(self.task_id, self._token, move)
            if receipt is not None:
                self.outcome = outcome.of_pause(str(paused), self._rows_done)
                self._make_room(receipt)
                return receipt
        return None

    def give_back(self, move: Move, *, delay: timedelta) -> Receipt | None:
        """Returns the task for another attempt after `delay`, or None: the lease is gone."""
        if self.receipt.fanned_out:
            receipt = self._ledger.families.release(self.task_id, self._token)
        else:
            guard = {"lease.token": self._token}
            receipt = self._ledger.receipts.requeue(
                self.task_id, move, guard=guard, delay=delay, token=self._token
            )
            self._make_room(receipt)
        if receipt is not None:
            self.outcome = Outcome(False, move.reason, self._rows_done)
        return receipt

    def _make_room(self, left: Receipt | None) -> None:
        """Where a quota counts the task, another of its namespace may have its place."""
        if left is not None and left.admission is not None:
            self._ledger.submission.open(left.namespace_id)

    def _wake_children(self) -> None:
        """Children of an earlier plan may be suspended. While the lease is held, so that nobody
        suspends them again before the parent can be."""
        actor = f"worker:{self.worker}"
        self._ledger.suspensions.wake_children(self.receipt, actor=actor)

    def _start_children(self) -> None:
        """What was asked of the task while its own code ran holds for its children first."""
        if self.number > 1:  # children of an earlier plan may have done their parts
            self._ledger.families.roll_up(self.task_id, interval=timedelta(0))
        self._ledger.cancellations.apply(self.task_id)
        self._ledger.suspensions.apply(self.task_id)
        self._ledger.submission.send(self._ledger.families.waiting(self.task_id))
        self._conclude(self.receipt)

    def _conclude(self, parent: Receipt) -> None:
        if parent.fanned_out and self._ledger.families.is_complete(parent.task_id):
            self._ledger.publisher.call(parent)

    def _roll_up(self) -> None:
        """Brings the parent's progress up to date; missing it once costs nothing."""
        if self.receipt.parent_task_id is None:
            return
        try:
            self._ledger.families.roll_up(self.receipt.parent_task_id)
        except PyMongoError as exc:
            log.warning("task.roll_up_failed", task_id=self.task_id, error=type(exc).__name__)

    def _take(self, receipt: Receipt | None) -> None:
        if receipt is None:
            raise LeaseLostError(f"The lease on task '{self.task_id}' was lost.")
        self._heard_at_s = time.monotonic()
        self.receipt = receipt


class _Counted:
    """The pieces, and how many they were."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = pieces
        self.count = 0

    def __iter__(self) -> Iterator[Piece]:
        for piece in self._pieces:
            self.count += 1
            yield piece


def _rows(progress: Progress) -> int:
    return progress.done - progress.errors


def _resume(stored: Progress | None, *, at: datetime) -> Progress:
    """Where an attempt begins: the rate of an earlier one, on another day, says nothing."""
    if stored is None:
        return begin(None, at)
    return replace(stored, rate=None, at=at, since=at)
