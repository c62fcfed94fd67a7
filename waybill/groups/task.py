"""Tasks: submit, read, wait, follow, and step in."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from waybill.endpoint import D, Group, endpoint, items
from waybill.error import ApiError
from waybill.flow.bulk import in_bulk
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow, fetch
from waybill.flow.streaming import Streaming
from waybill.flow.verb import act, ask, create, fetched, get, said, walk
from waybill.flow.waiting import OnPoll, Waiting
from waybill.types import (
    NewTask,
    Page,
    Partial,
    PartialFailure,
    Task,
    TaskAnswer,
    TaskEvent,
    Transition,
    WholeDelivery,
)

PATIENCE_S: Final = 60.0

History: TypeAlias = list[Transition]
# What a call on many things says of one is what a call on that one would have answered.
STATUSES: Final = {"TooManyRequestsError": 429, "AlreadyExistsError": 409, "ValidationError": 422}


class Tasks(Group[D]):
    """Run requests and their receipts."""

    @endpoint
    def submit(
        self,
        task_type: str,
        inputs: Sequence[object] = (),
        *,
        additional_data: Mapping[str, object] | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Task]:
        """The receipt of a new task; `ApiError` where it is refused.

        `webhook_url` is sent one signed event when the task has ended.
        The same `idempotency_key` gives the same receipt for 24 hours, whoever asks with it.
        """
        task = {"task_type": task_type, "inputs": list(inputs)}
        task |= said(additional_data=additional_data, webhook_url=webhook_url)
        path = path_to("tasks", "submit")
        answer = yield from fetched(
            Partial[Task], create(path, {"tasks": [task]}, key=idempotency_key)
        )
        if answer["failed"]:
            raise _refused(answer["failed"][0])
        return answer["succeeded"][0]

    @endpoint
    def submit_many(
        self, tasks: Sequence[NewTask], *, idempotency_key: str | None = None
    ) -> Flow[Partial[Task]]:
        """What became of each task; one that is refused stops no other.

        More than a thousand are sent in several calls. Where one of these fails as a whole its
        error is raised and those before it stand: the same `idempotency_key` takes it up there.
        """
        path = path_to("tasks", "submit")
        return in_bulk(Task, path, "tasks", tasks, key=idempotency_key)

    @endpoint
    def get(self, task_id: str) -> Flow[Task]:
        """The receipt as it is now."""
        return fetched(Task, get(path_to("tasks", task_id)))

    @items
    def list(
        self,
        *,
        status: str | None = None,
        task_type: str | None = None,
        parent_task_id: str | None = None,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Task]:
        """Every task that is selected, the newest first, page by page."""
        body = said(
            status=status,
            task_type=task_type,
            parent_task_id=parent_task_id,
            filters=filters,
            sort=sort,
            search=search,
        )
        return walk(Task, path_to("tasks", "list"), body, page_size=page_size)

    @endpoint
    def page(
        self,
        *,
        status: str | None = None,
        task_type: str | None = None,
        parent_task_id: str | None = None,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
        cursor: str | None = None,
        include_total: bool = False,
    ) -> Flow[Page[Task]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            status=status,
            task_type=task_type,
            parent_task_id=parent_task_id,
            filters=filters,
            sort=sort,
            search=search,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[Task], ask(path_to("tasks", "list"), body))

    @endpoint
    def history(self, task_id: str) -> Flow[History]:
        """Every transition, the first one first."""
        answer = yield from fetch(get(path_to("tasks", task_id, "history")))
        found: History = answer["results"]
        return found

    @endpoint
    def callback(self, task_id: str) -> Flow[WholeDelivery]:
        """What the `webhook_url` of a task was sent, with every attempt, once it has ended."""
        return fetched(WholeDelivery, get(path_to("tasks", task_id, "callback")))

    @endpoint
    def replay_callback(
        self, task_id: str, *, idempotency_key: str | None = None
    ) -> Flow[WholeDelivery]:
        """Sends it again; one that is still under way stays as it is."""
        path = path_to("tasks", task_id, "callback", "replay")
        return fetched(WholeDelivery, create(path, {}, key=idempotency_key))

    @endpoint
    def kill(self, task_id: str, *, reason: str | None = None) -> Flow[TaskAnswer]:
        """Asks for the end of a task; one that has ended stays as it is."""
        path = path_to("tasks", task_id, "kill")
        return fetched(TaskAnswer, act(path, said(reason=reason), repeatable=True))

    @endpoint
    def kill_many(
        self,
        *,
        status: str | None = None,
        task_type: str | None = None,
        filters: Mapping[str, object] | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Task]:
        """The task that ends every open task that is selected."""
        body = said(status=status, task_type=task_type, filters=filters, reason=reason)
        return fetched(Task, create(path_to("tasks", "kill"), body, key=idempotency_key))

    @endpoint
    def suspend(self, task_id: str, *, reason: str | None = None) -> Flow[TaskAnswer]:
        """Sets a task aside: at once where it waits, at its next checkpoint where it runs."""
        return fetched(TaskAnswer, act(path_to("tasks", task_id, "suspend"), said(reason=reason)))

    @endpoint
    def resume(self, task_id: str) -> Flow[TaskAnswer]:
        """Lets a suspended task go on from its checkpoint."""
        return fetched(TaskAnswer, act(path_to("tasks", task_id, "resume")))

    @endpoint
    def wait(
        self,
        task_id: str,
        *,
        resource_path: str | None = None,
        on_poll: OnPoll | None = None,
        timeout_s: float | None = None,
    ) -> Flow[Task]:
        """The receipt once the task is COMPLETED or SKIPPED.

        Raises `TaskFailedError` and `TaskCanceledError` where it ended so, `WaitTimeoutError`
        after `timeout_s`. Looks 1 s after the first time, then 1.5 times later each time, 30 s at
        most; the server answers sooner when the status changes. `on_poll` gets each receipt.
        Where the receipt is gone (404), its resource is asked: `resource_path`, or the batch,
        cluster or migration that the receipt named.
        """
        wait = Waiting(task_id, resource_path=resource_path, on_poll=on_poll, timeout_s=timeout_s)
        return wait.flow()

    @items
    def stream(
        self, task_id: str, *, last_event_id: str | None = None, patience_s: float = PATIENCE_S
    ) -> ItemFlow[TaskEvent]:
        """The task's transitions, from the first or the one after `last_event_id`, its progress,
        and its end.

        A cut connection is taken up where it was; `ConnectError` when the server is away for
        longer than `patience_s`.
        """
        return Streaming(task_id, last_event_id=last_event_id, patience_s=patience_s).flow()


def _refused(failure: PartialFailure) -> ApiError:
    kind = failure["error_type"]
    error = {"message": failure["error"], "type": kind, "details": failure["details"]}
    return ApiError(STATUSES.get(kind, 400), error)
