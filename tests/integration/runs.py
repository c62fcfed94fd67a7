"""Rows of runs as tests write them, by SQL alone."""

import json
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

import psycopg

from app.tracking.event import Status
from app.tracking.schema import apply_migrations

INSERT: Final = """
    INSERT INTO datastore.processing_events
        (processing_id, service_name, processor_name, reference, event, status, status_note,
         input_rows, output_rows, started_at, ended_at, owner_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'tests')
"""


def migrate(url: str) -> None:
    """Makes the schema."""
    with psycopg.connect(url) as connection:
        apply_migrations(connection)


def add_run(
    url: str,
    started_at: datetime,
    *,
    processor_name: str = "embed",
    service_name: str = "waybill",
    reference: str | None = None,
    event: dict[str, object] | None = None,
    status: Status = "success",
    status_note: str | None = None,
    rows: tuple[int | None, int | None] = (None, None),
    duration_s: float = 1.0,
) -> str:
    """Stores a run; its id."""
    processing_id = str(uuid4())
    values = (
        processing_id,
        service_name,
        processor_name,
        reference or f"ref/{processing_id}",
        json.dumps(event or {}),
        status,
        status_note,
        *rows,
        started_at,
        None if status == "in-progress" else started_at + timedelta(seconds=duration_s),
    )
    with psycopg.connect(url) as connection:
        connection.execute(INSERT, values)
    return processing_id
