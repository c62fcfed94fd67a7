"""Tasks: list, history, and the submission of registered types."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import Field

from app.api import callback
from app.api.shape import task as shape
from app.errors import CallerError, InvalidError
from app.http.answer import answers
from app.http.body import Body, Metadata, Values
from app.http.caller import Caller, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, envelope, list_query
from app.http.partial import partial_answer
from app.http.request_id import current_request_id
from app.query.page import list_page
from app.receipts.admission import beyond_quota
from app.receipts.draft import storable_flaw
from app.receipts.history import transition_json
from app.receipts.job_type import JobType
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.write import BRIEF
from app.resources.task import FIELDS
from app.settings import Settings
from app.stores import Held

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=IdempotentRoute)

MAX_SUBMITTED: Final = 1_000


class TaskListBody(ListBody):
    """What a list of tasks takes besides filters; children are left out unless asked for."""

    model_config = example(
        {
            "status": "FAILED",
            "filters": {
                "AND": [{"field": "created_at", "operator": "gte", "value": "2026-01-01T00:00:00Z"}]
            },
        }
    )

    status: TaskStatusEnum | None = None
    task_type: str | None = None
    parent_task_id: str | None = None


class SubmittedTask(Body):
    """One run request for a registered type."""

    task_type: str = Field(min_length=1, max_length=200)
    inputs: Values = Field(default_factory=list)
    additional_data: Metadata = Field(default_factory=dict)
    webhook_url: callback.CallbackUrl | None = None


class SubmitBody(Body):
    """Up to a thousand run requests; each stands for itself."""

    model_config = example(
        {"tasks": [{"task_type": "thumbnails", "inputs": ["file:///pictures/1.png"]}]}
    )

    tasks: list[SubmittedTask] = Field(min_length=1, max_length=MAX_SUBMITTED)


@router.post("/list", responses=answers(shape.TaskPage))
def list_tasks(
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: TaskListBody | None = None,
) -> dict[str, object]:
    """A page of the namespace's tasks, the newest first."""
    body = body or TaskListBody()
    also = {"status": body.status, "task_type": body.task_type}
    scope = {"namespace_id": caller.namespace_id, "parent_task_id": body.parent_task_id}
    page = list_page(
        stores.ledger.receipts.tasks,
        scope,
        list_query(params, body, also),
        FIELDS,
        projection=BRIEF,
    )
    return envelope(request, page.map(lambda row: Receipt.from_document(row).to_json()))


@router.get("/{task_id}/history", responses=answers(shape.History))
def get_history(task_id: str, caller: Reader, stores: Held) -> dict[str, object]:
    """Every transition in order; tracebacks are for keys that may do everything."""
    entries = stores.ledger.receipts.history(task_id, namespace_id=caller.namespace_id)
    return {
        "results": [transition_json(entry, with_traceback=caller.is_admin) for entry in entries]
    }


@router.post(
    "/submit",
    status_code=202,
    openapi_extra=CREATES,
    responses=answers(shape.PartialTasks, status=202),
)
def submit_tasks(body: SubmitBody, caller: Writer, stores: Held) -> dict[str, object]:
    """Stores receipts for tasks of registered types; a task that is refused stops no other.

    Of a namespace with `quotas.max_pending`, the first tasks that fit are accepted: the others
    fail, and where none fits the answer is 429.
    """
    types = {name: kind for name, kind in stores.ledger.job_types.all().items() if kind.submittable}
    accepted: list[NewTask] = []
    errors: dict[int, CallerError] = {}
    for index, task in enumerate(body.tasks):
        kind = types.get(task.task_type)
        if kind is None:
            known = ", ".join(sorted(types)) or "none, until a worker with WAYBILL_IMPORTS starts"
            message = f"'{task.task_type}' is no registered task type: registered are {known}"
            errors[index] = InvalidError.at("tasks", index, "task_type", message=message)
        elif (flaw := _flaw(task)) is not None:
            errors[index] = InvalidError.at("tasks", index, message=f"The task's content {flaw}")
        elif (refusal := _refusal(task, stores.settings, index)) is not None:
            errors[index] = refusal
        else:
            accepted.append(_new_task(task, kind, caller, place=str(index)))
    receipts = stores.ledger.submission.accept(accepted) if accepted else []
    if len(accepted) == len(body.tasks) and not receipts:
        raise beyond_quota()
    errors |= {int(task.place): beyond_quota() for task in accepted[len(receipts) :]}
    return partial_answer([receipt.to_json() for receipt in receipts], errors)


def _flaw(task: SubmittedTask) -> str | None:
    return storable_flaw([task.inputs, task.additional_data])


def _refusal(task: SubmittedTask, settings: Settings, index: int) -> InvalidError | None:
    try:
        callback.checked(task.webhook_url, settings, "tasks", index)
    except InvalidError as exc:
        return exc
    return None


def _new_task(task: SubmittedTask, kind: JobType, caller: Caller, *, place: str) -> NewTask:
    return NewTask(
        task_type=kind.name,
        namespace_id=caller.namespace_id,
        inputs=task.inputs,
        actor=caller.actor,
        additional_data={**task.additional_data, "request_id": current_request_id()},
        max_attempts=kind.max_attempts,
        queue=kind.queue,
        place=place,
        callback_url=task.webhook_url,
    )
