"""Runs and their statistics as answers have them."""

from collections.abc import Sequence
from dataclasses import asdict

from app.http.body import JsonObject
from app.receipts.receipt import Receipt, rfc3339
from app.stores import Stores
from app.tracking.reading.run import Run
from app.tracking.reading.statistic import Statistic


def runs_json(stores: Stores, runs: Sequence[Run], *, with_events: bool) -> list[JsonObject]:
    """The runs, each with the receipt of its task as it is now."""
    task_ids = {run.task_id for run in runs if run.task_id is not None}
    found = stores.ledger.receipts.find_many(sorted(task_ids)) if task_ids else []
    receipts = {receipt.task_id: receipt for receipt in found}
    rows: list[JsonObject] = []
    for run in runs:
        row = _run_json(run, receipts.get(run.task_id or ""))
        rows.append({**row, "event": run.event} if with_events else row)
    return rows


def statistic_json(statistic: Statistic) -> JsonObject:
    """One processor's day."""
    return {**asdict(statistic), "day": statistic.day.isoformat()}


def _run_json(run: Run, receipt: Receipt | None) -> JsonObject:
    return {
        "processing_id": run.processing_id,
        "service_name": run.service_name,
        "processor_name": run.processor_name,
        "reference": run.reference,
        "status": run.status,
        "status_note": run.status_note,
        "input_rows": run.input_rows,
        "output_rows": run.output_rows,
        "started_at": rfc3339(run.started_at),
        "ended_at": rfc3339(run.ended_at),
        "duration_s": run.duration_s,
        "namespace_id": run.namespace_id,
        "task_id": run.task_id,
        "attempt": run.attempt,
        "task": _task_json(run, receipt),
    }


def _task_json(run: Run, receipt: Receipt | None) -> JsonObject | None:
    """A row is written by whoever has the database: it opens no receipt of another namespace."""
    if receipt is None or receipt.namespace_id != run.namespace_id:
        return None
    return {
        "task_id": receipt.task_id,
        "task_type": receipt.task_type,
        "status": receipt.status.value,
        "attempt": receipt.attempt,
        "max_attempts": receipt.max_attempts,
        "error_message": receipt.error_message,
        "created_at": rfc3339(receipt.created_at),
        "ended_at": rfc3339(receipt.ended_at),
    }
