"""Runs as people read them: one, or a page of those that are asked for, the newest first.

Statements only, and what their rows stand for; `app.tracking.reading.reader` runs them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.tracking.event import IN_PROGRESS, Status
from app.tracking.reading import event as content

TABLE: Final = "datastore.processing_events"
SECONDS: Final = "extract(epoch FROM ended_at - started_at)::float8"
_COLUMNS: Final = f"""processing_id, service_name, processor_name, reference, namespace_id, task_id,
    substring(reference FROM '^tsk_[^/]+/([0-9]{{1,9}})(?:/|$)')::integer AS attempt,
    status, status_note, input_rows, output_rows, started_at, ended_at,
    {SECONDS} AS duration_s"""
_ORDER: Final = "ORDER BY started_at DESC, processing_id DESC"
# Written into the statement, so that the index of those that did not succeed is seen to fit.
_STATUSES: Final[dict[Status, str]] = {
    IN_PROGRESS: "status = 'in-progress'",
    "success": "status = 'success'",
    "failure": "status = 'failure'",
}

Values = list[object]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a processor. `event` is None where it was not asked for, is too long for
    a list, or not to be read.
    """

    processing_id: str
    service_name: str
    processor_name: str
    reference: str
    namespace_id: str | None
    task_id: str | None
    attempt: int | None
    status: Status
    status_note: str | None
    input_rows: int | None
    output_rows: int | None
    started_at: datetime
    ended_at: datetime | None
    duration_s: float | None
    event: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs; None asks for nothing.

    `namespace_ids` None: those of all namespaces, and those of none. They started from `since` on
    and before `until`.
    """

    namespace_ids: frozenset[str] | None = None
    service_name: str | None = None
    processor_name: str | None = None
    reference: str | None = None
    task_id: str | None = None
    status: Status | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The run that a page ended with: the next one begins after it."""

    started_at: datetime
    processing_id: UUID


@dataclass(frozen=True, slots=True)
class Window:
    """Where a page begins, and how many runs it has."""

    limit: int
    skip: int = 0
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values of its placeholders."""

    text: str
    values: Values


def page_statement(query: RunQuery, window: Window, *, with_events: bool) -> Statement:
    """The page's runs, read off an index in their order, however deep the page lies.

    One reading for each namespace, merged: no index has those of several in order. Each says how
    many may come of it, without which PostgreSQL would rather sort them all.
    """
    event = content.SHORT if with_events else content.NONE
    ids = query.namespace_ids
    values: Values = []
    parts: list[str] = []
    for namespace_id in [None] if ids is None else sorted(ids):
        conditions, asked = _conditions(query)
        if namespace_id is not None:
            conditions.append("namespace_id = %s")
            asked.append(namespace_id)
        if window.after is not None:
            conditions.append("(started_at, processing_id) < (%s, %s)")
            asked += [window.after.started_at, window.after.processing_id]
        part = f"SELECT {_COLUMNS}, {event} FROM {TABLE} WHERE {_joined(conditions)}"
        parts.append(f"({part} {_ORDER} LIMIT %s)")
        values += [*asked, window.skip + window.limit]
    text = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS runs {_ORDER} LIMIT %s OFFSET %s"
    return Statement(text, [*values, window.limit, window.skip])


def count_statement(query: RunQuery) -> Statement:
    """How many runs there are."""
    conditions, values = conditions_of(query)
    return Statement(f"SELECT count(*) FROM {TABLE} WHERE {conditions}", values)


def run_statement(processing_id: UUID, namespace_ids: frozenset[str] | None) -> Statement:
    """The one run, with its event, where it is of these namespaces."""
    conditions, values = conditions_of(RunQuery(namespace_ids))
    columns = f"{_COLUMNS}, {content.WHOLE}"
    text = f"SELECT {columns} FROM {TABLE} WHERE processing_id = %s AND {conditions}"
    return Statement(text, [processing_id, *values])


def conditions_of(query: RunQuery) -> tuple[str, Values]:
    """All that the query asks, as one condition."""
    conditions, values = _conditions(query)
    if query.namespace_ids is not None:
        conditions.append("namespace_id = ANY(%s)")
        values.append(sorted(query.namespace_ids))
    return _joined(conditions), values


def run_of(row: Sequence[Any]) -> Run:
    """The row of a statement that reads runs."""
    processing_id, *others, event = row
    values: list[Any] = [str(processing_id), *others, content.read_event(event)]
    return Run(*values)


def _conditions(query: RunQuery) -> tuple[list[str], Values]:
    asked = {
        "service_name = %s": query.service_name,
        "processor_name = %s": query.processor_name,
        "reference = %s": query.reference,
        "task_id = %s": query.task_id,
        "started_at >= %s": query.since,
        "started_at < %s": query.until,
    }
    said = {condition: value for condition, value in asked.items() if value is not None}
    conditions = [*said, *([] if query.status is None else [_STATUSES[query.status]])]
    return conditions, list(said.values())


def _joined(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions) or "true"
