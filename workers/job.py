"""The base of every job: claim, run, finish, around an AbortableTask of Celery.

    @app.task(base=Job, bind=True, name="thumbnails_make")
    def make_thumbnails(self, attempt): ...

The message brings a task id. What runs, and whether, is decided by the claim on its receipt.
"""

import random
import uuid
from datetime import timedelta
from typing import Any, ClassVar

import structlog
from celery.contrib.abortable import AbortableTask
from celery.exceptions import Ignore, Retry

from app import tracing
from app.receipts.cancellation import WHILE_RUNNING
from app.receipts.family import Children
from app.receipts.ledger import Ledger
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
from app.receipts.write import Effect
from workers import process, shutdown
from workers.attempt import Attempt, Completion, FanOut
from workers.exit import AbortedError, LeaseLostError, PausedError, SkippedError
from workers.failure import Failure, backoff, describe, storable
from workers.observation import note_status, observed

log = structlog.get_logger(__name__)


class Job(AbortableTask):
    """A Celery task that runs one attempt of the receipt whose id it gets.

    The decorated function takes the `Attempt` and returns the receipt's outputs (JSON that
    MongoDB can hold), a `Completion`, or a `FanOut`. An exception of `transient_errors`, or of a
    server that is away, is tried again with backoff up to `max_attempts` (the setting's value
    where it is None); any other fails the task at once. A job that fans out defines
    `conclude(attempt, children)`. A job that reports checkpoints and starts from them says
    `suspendable=True`: it is left at one when the task is suspended, or the worker stops.
    """

    abstract = True
    max_attempts: ClassVar[int | None] = None
    submittable: ClassVar[bool] = True
    suspendable: ClassVar[bool] = False
    queue: ClassVar[str | None] = None  # where its messages go; the jobs' queue where it is None
    transient_errors: ClassVar[tuple[type[Exception], ...]] = ()

    def __call__(self, task_id: str) -> None:
        """Runs one attempt, or nothing where the claim is refused."""
        ledger = process.current(self.app).ledger
        if shutdown.has_begun():
            self._leave_to_others(ledger, task_id)
            return
        holder = Holder(
            token=uuid.uuid4().hex,
            worker=str(self.request.hostname),
            keeper=process.KEEPER_ID,
            job_id=str(self.request.id),
        )
        receipt = ledger.receipts.claim(task_id, holder)
        if receipt is None:
            receipt = ledger.families.claim_conclusion(task_id, holder)
        if receipt is None:
            log.info("task.claim_refused", task_id=task_id)
        else:
            tracing.start(process.current(self.app).settings, role="worker")
            with observed(receipt):
                self._carry_out(Attempt(receipt, holder, ledger, suspendable=self.suspendable))

    def is_aborted(self, **kwargs: Any) -> bool:
        """Whether the receipt asks this job to end; Celery's own flag can be overwritten."""
        attempt = getattr(self.request, "attempt", None)
        return isinstance(attempt, Attempt) and attempt.is_aborted()

    def conclude(self, attempt: Attempt, children: Children) -> object:
        """The outputs of a task whose children have all ended."""
        raise TypeError(f"The job '{self.name}' fans out, but it defines no 'conclude'")

    def _leave_to_others(self, ledger: Ledger, task_id: str) -> None:
        """Has the message sent again: a worker that stops begins nothing."""
        receipt = ledger.receipts.find(task_id)
        if receipt is not None and receipt.fanned_out:
            ledger.publisher.call(receipt)
        else:
            ledger.queue.mark_unpublished([task_id])

    def _carry_out(self, attempt: Attempt) -> None:
        self.request.update(attempt=attempt)
        try:
            with process.current(self.app).runs.recorded(attempt):
                self._run_to_an_end(attempt)
        except LeaseLostError as exc:
            log.warning("task.lease_lost", task_id=attempt.task_id, error=str(exc))
            tracing.fail(str(exc))
            raise Ignore from exc

    def _run_to_an_end(self, attempt: Attempt) -> None:
        try:
            attempt.raise_if_aborted()
            attempt.raise_if_orphaned()
            self._work(attempt)
        except AbortedError:
            self._end(attempt, Ending(TaskStatusEnum.CANCELED, outcome=WHILE_RUNNING))
            # The job's row in Flower would stay STARTED without an event of its own.
            self.send_event("task-revoked", terminated=True, signum=None, expired=False)
            raise Ignore from None
        except PausedError as exc:
            paused = attempt.pause(exc)
            if paused is None:
                raise LeaseLostError(f"The lease on task '{attempt.task_id}' was lost.") from exc
            note_status(paused.status)
            raise Retry(str(exc)) from exc  # what Flower shows of a task that is to go on
        except SkippedError as exc:
            reason = storable(str(exc))
            self._end(attempt, Ending(TaskStatusEnum.SKIPPED, outputs=[{"reason": reason}]))
        except LeaseLostError:
            raise
        except Exception as exc:
            self._fail(attempt, exc)
            raise

    def _work(self, attempt: Attempt) -> None:
        """The job's code, and the end of the task that it stands for."""
        if attempt.receipt.fanned_out:
            result = self.conclude(attempt, attempt.children())
        else:
            result = self.run(attempt)
        match result:
            case FanOut():
                attempt.fan_out(result)
            case Completion(outputs, effect):
                self._complete(attempt, outputs, effect)
            case _:
                self._complete(attempt, result)

    def _complete(self, attempt: Attempt, outputs: object, effect: Effect | None = None) -> None:
        ending = Ending(TaskStatusEnum.COMPLETED, outputs=_listed(outputs), effect=effect)
        self._end(attempt, ending)

    def _end(self, attempt: Attempt, ending: Ending) -> None:
        ended = attempt.end(ending)
        if ended is None:
            raise LeaseLostError(f"The lease on task '{attempt.task_id}' was lost.")
        note_status(ended.status)

    def _fail(self, attempt: Attempt, exc: Exception) -> None:
        """Records the failure; a transient one raises Celery's Retry, for Flower to show."""
        failure = describe(exc, transient_errors=self.transient_errors)
        tracing.fail(failure.message, exc)
        if failure.transient and attempt.receipt.has_another_attempt:
            self._give_back(attempt, failure)
            raise Retry(failure.message, exc) from exc
        self._end(
            attempt,
            Ending(
                TaskStatusEnum.FAILED,
                error_message=failure.message,
                traceback=failure.traceback,
            ),
        )

    def _give_back(self, attempt: Attempt, failure: Failure) -> None:
        settings = process.current(self.app).settings
        delay = backoff(
            attempt.number - attempt.receipt.returns,
            first=timedelta(seconds=settings.retry_backoff_s),
            rng=random.Random(),
        )
        move = Move(
            (TaskStatusEnum.PROCESSING,),
            TaskStatusEnum.PENDING,
            actor=f"worker:{attempt.worker}",
            reason=failure.message,
            worker=attempt.worker,
            traceback=failure.traceback,
        )
        given_back = attempt.give_back(move, delay=delay)
        if given_back is None:
            raise LeaseLostError(f"The lease on task '{attempt.task_id}' was lost.")
        note_status(given_back.status)


def _listed(outputs: object) -> list[object] | None:
    """Outputs as the receipt has them, a list; a job may return a single one, or none."""
    if outputs is None or isinstance(outputs, list):
        return outputs
    return [outputs]
