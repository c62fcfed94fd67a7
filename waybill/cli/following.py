"""A task followed to its end: bars for people, events for scripts."""

from collections.abc import Callable
from typing import Final

from waybill.cli import output as shown
from waybill.cli.bar import Bar
from waybill.cli.output import Output
from waybill.client import Client
from waybill.error import ApiError, TaskCanceledError, TaskFailedError
from waybill.types import Progress, Task, TaskEvent

NO_STREAM: Final = frozenset({404, 405, 406, 501})  # what a server without the stream answers


class Following:
    """Shows one task until it has ended."""

    def __init__(self, client: Client, output: Output) -> None:
        self._client = client
        self._output = output
        self._status = ""
        self._bar: Bar | None = None

    def to_the_end(self, task_id: str) -> Task:
        """The receipt with which the task ended, however it did."""
        receipt = self._client.tasks.get(task_id)  # an id that never was is told at once
        if self._output.is_live:
            self._bar = Bar(self._output.remarks, receipt["status"], None)
        try:
            return self._streamed(task_id) or self._polled(task_id)
        finally:
            if self._bar is not None:
                self._bar.stop()

    def _streamed(self, task_id: str) -> Task | None:
        """None where the server has no stream."""
        try:
            for event in self._client.tasks.stream(task_id):
                if self._output.as_json:
                    self._output.event(event)
                if event["event"] == "end":
                    self._show(event["data"])
                    return event["data"]
                self._hear(event)
        except ApiError as exc:
            if exc.status not in NO_STREAM:
                raise
        return None

    def _polled(self, task_id: str) -> Task:
        receipt = ended(self._client, task_id, on_poll=self._show)
        if self._output.as_json:
            self._output.event({"event": "end", "id": None, "data": receipt})
        return receipt

    def _hear(self, event: TaskEvent) -> None:
        match event["event"]:
            case "transition":
                entry = event["data"]
                self._news(entry["to"], entry["reason"])
            case "progress":
                self._advance(event["data"])
            case _:
                pass

    def _show(self, receipt: Task) -> None:
        self._news(receipt["status"], receipt["error_message"])
        if receipt["progress"] is not None:
            self._advance(receipt["progress"])

    def _news(self, status: str, reason: str | None) -> None:
        if status == self._status:
            return
        self._status = status
        line = f"{status}: {reason}" if reason else status
        if self._bar is not None:
            self._bar.say(line)
            self._bar.show(0, "", description=status)
        else:
            self._output.said(line)

    def _advance(self, progress: Progress) -> None:
        if self._bar is not None:
            self._bar.show(progress["done"], shown.progress(progress), total=progress["total"])


def ended(
    client: Client,
    task_id: str,
    *,
    timeout_s: float | None = None,
    on_poll: Callable[[Task], object] | None = None,
) -> Task:
    """The receipt with which the task ended, however it did. Raises `WaitTimeoutError`."""
    try:
        return client.tasks.wait(task_id, timeout_s=timeout_s, on_poll=on_poll)
    except (TaskFailedError, TaskCanceledError) as exc:
        return exc.receipt
