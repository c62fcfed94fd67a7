"""Tasks under way: kill, one or many, suspend and resume."""

from fastapi import APIRouter
from pydantic import Field

from app.api.shape.task import Task, TaskAnswer
from app.broker import CONTROL_QUEUE
from app.errors import BadRequestError, InvalidError
from app.http.answer import answers
from app.http.body import Body, JsonObject
from app.http.caller import Caller, Deleter, Writer
from app.http.example import example
from app.http.filtering import Filters
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.request_id import current_request_id
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.resources.task import BULK_KILL_TYPE, TaskSelection
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=IdempotentRoute)


class ReasonBody(Body):
    """Why somebody steps in; the receipt keeps it."""

    model_config = example({"reason": "wrong input"})

    reason: str | None = Field(None, max_length=1_000)


class KillManyBody(ReasonBody):
    """Which tasks to end: all that is named must hold, and something must be."""

    model_config = example({"task_type": "thumbnails", "reason": "wrong input"})

    status: TaskStatusEnum | None = None
    task_type: str | None = Field(None, min_length=1, max_length=200)
    filters: Filters | None = None


@router.post("/kill", status_code=202, openapi_extra=CREATES, responses=answers(Task, status=202))
def kill_tasks(body: KillManyBody, caller: Deleter, stores: Held) -> JsonObject:
    """The task that ends every open task of the namespace that the body selects."""
    selection = TaskSelection(body.status, body.task_type, body.filters)
    if not (body.status or body.task_type or body.filters):
        message = "name the tasks to end: give status, task_type or filters"
        raise InvalidError.at("body", "filters", message=message)
    selection.condition({})  # what does not fit is refused before anything is stored
    task = NewTask(
        task_type=BULK_KILL_TYPE,
        namespace_id=caller.namespace_id,
        inputs=[selection.to_json(), caller.actor, body.reason],
        actor=caller.actor,
        additional_data={"request_id": current_request_id()},
        max_attempts=stores.settings.max_attempts,
        queue=CONTROL_QUEUE,
    )
    (receipt,) = stores.ledger.submission.submit([task])
    return receipt.to_json()


@router.post("/{task_id}/kill", responses=answers(TaskAnswer))
def kill_task(
    task_id: str, caller: Deleter, stores: Held, body: ReasonBody | None = None
) -> JsonObject:
    """Asks for the end of a task: at once where it waits, at its next checkpoint where it runs."""
    receipt, message = kill(stores, task_id, caller, _reason(body))
    return _answer(receipt, message)


@router.delete("/{task_id}", responses=answers(TaskAnswer))
def delete_task(task_id: str, caller: Deleter, stores: Held) -> JsonObject:
    """The same as kill: a receipt is never deleted, the task ends."""
    return kill_task(task_id, caller, stores)


@router.post("/{task_id}/suspend", responses=answers(TaskAnswer))
def suspend_task(
    task_id: str, caller: Writer, stores: Held, body: ReasonBody | None = None
) -> JsonObject:
    """Sets a task aside: at once where it waits, at its next checkpoint where it runs."""
    receipt = _whole_task(stores, task_id, caller)
    if receipt.is_terminal:
        raise BadRequestError(f"The task is {receipt.status}: only an open task can be suspended")
    kind = stores.ledger.job_types.all().get(receipt.task_type)
    running = kind is not None and kind.suspendable
    suspensions = stores.ledger.suspensions
    suspensions.request(task_id, actor=caller.actor, reason=_reason(body), running=running)
    receipt = suspensions.apply(task_id)
    if receipt.status is TaskStatusEnum.SUSPENDED:
        return _answer(receipt, "The task is SUSPENDED.")
    if receipt.suspension is not None:
        return _answer(receipt, "The task was asked to pause at its next checkpoint.")
    if receipt.is_terminal or receipt.cancellation is not None:
        return _answer(receipt, f"The task is {receipt.status}, and is to end or has ended.")
    raise BadRequestError(
        f"Tasks of type '{receipt.task_type}' start from no checkpoint: one that runs can be "
        "killed, not suspended"
    )


@router.post("/{task_id}/resume", responses=answers(TaskAnswer))
def resume_task(task_id: str, caller: Writer, stores: Held) -> JsonObject:
    """Makes a SUSPENDED task PENDING, from its checkpoint, or withdraws a pause not yet begun."""
    receipt = _whole_task(stores, task_id, caller)
    if receipt.is_terminal:
        raise BadRequestError(f"The task is {receipt.status}: only a SUSPENDED one is resumed")
    resumed = stores.ledger.suspensions.resume(task_id, actor=caller.actor)
    if resumed is None:
        return _answer(stores.ledger.receipts.get(task_id), "The task was not suspended.")
    if resumed.status is TaskStatusEnum.PENDING:
        (resumed,) = stores.ledger.submission.send([resumed])
        return _answer(resumed, "The task is PENDING and goes on from its checkpoint.")
    return _answer(resumed, "The pause was withdrawn before it began.")


def kill(stores: Stores, task_id: str, caller: Caller, reason: str | None) -> tuple[Receipt, str]:
    """Stores the intent, ends what waits, tells the control worker, and says what came of it."""
    before = _whole_task(stores, task_id, caller)
    if before.is_terminal:
        return before, f"The task had ended before: it is {before.status}."
    receipt = stores.ledger.killer.kill(task_id, actor=caller.actor, reason=reason)
    if receipt.is_terminal:
        return receipt, f"The task is {receipt.status}."
    return receipt, "The task was asked to end; its status says when it has."


def _whole_task(stores: Stores, task_id: str, caller: Caller) -> Receipt:
    """A task of the caller's; a part of another follows that one."""
    receipt = stores.ledger.receipts.get(task_id, namespace_id=caller.namespace_id)
    if receipt.parent_task_id is not None:
        raise BadRequestError(
            f"The task is a part of task '{receipt.parent_task_id}': name that one"
        )
    return receipt


def _reason(body: ReasonBody | None) -> str | None:
    return body.reason if body else None


def _answer(receipt: Receipt, message: str) -> JsonObject:
    return {"success": True, "message": message, "task": receipt.to_json()}
