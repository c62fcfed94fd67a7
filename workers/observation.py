"""What tells an attempt's log lines and spans from those of others."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bound_contextvars

from app import tracing
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.tracing import Kind


@contextmanager
def observed(receipt: Receipt) -> Iterator[None]:
    """Every line logged in the block names the attempt and its request; one span is around it."""
    names: dict[str, str | int] = {
        "task_id": receipt.task_id,
        "task_type": receipt.task_type,
        "attempt": receipt.attempt,
        "namespace_id": receipt.namespace_id,
    }
    attributes = {f"waybill.{name}": value for name, value in names.items()}
    request_id = receipt.additional_data.get("request_id")
    with (
        bound_contextvars(**names, request_id=request_id),
        tracing.span(
            f"run {receipt.task_type}",
            kind=Kind.CONSUMER,
            parent=receipt.trace,
            attributes=attributes,
        ),
    ):
        yield


def note_status(status: TaskStatusEnum) -> None:
    """Says on the attempt's span where its task stands now."""
    tracing.annotate({"waybill.status": status.value})
