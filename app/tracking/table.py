"""The rows of datastore.processing_events, one statement for a start and one for an end."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, Final, TypeVar

from app.tracking.abandonment import SILENT_AFTER_S, close_silent
from app.tracking.client import CONNECT_WITHIN_S, RDSClient, RowsAwayError, is_pool, statement
from app.tracking.event import ProcessingEvent
from app.tracking.holding import End, Holding
from app.tracking.owner import Owner
from app.tracking.payload import written
from app.tracking.rows import IdType
from app.tracking.schema import apply_migrations

T = TypeVar("T")
# A start that meets a row whose owner is silent closes it and begins anew, and may meet another.
START_TRIES: Final = 5

START: Final = """
    INSERT INTO datastore.processing_events AS stored (
        processing_id, service_name, processor_name, reference, event, status,
        input_rows, started_at, owner_id
    ) VALUES (%s::uuid, %s, %s, %s, %s::jsonb, 'in-progress', %s::bigint, %s::timestamptz, %s)
    ON CONFLICT (service_name, processor_name, reference) WHERE status = 'in-progress'
    DO UPDATE SET owner_id = EXCLUDED.owner_id, stored_at = EXCLUDED.stored_at
    WHERE GREATEST(
        stored.stored_at,
        -- After it was away itself, the server cannot tell who is silent.
        pg_postmaster_start_time(),
        (SELECT seen_at FROM datastore.processing_owners AS owner
         WHERE owner.owner_id = stored.owner_id)
    ) >= clock_timestamp() - make_interval(secs => %s)
    RETURNING processing_id::text
"""

FINISH: Final = """
    UPDATE datastore.processing_events SET
        status = %s,
        status_note = %s,
        output_rows = %s::bigint,
        ended_at = GREATEST(%s::timestamptz, started_at),
        end_id = %s::uuid
    WHERE processing_id = %s::uuid AND service_name = %s AND processor_name = %s
      AND status = 'in-progress'
"""

HAS_ENDED: Final = """
    SELECT count(*) FROM datastore.processing_events
    WHERE processing_id = %s::uuid AND end_id = %s::uuid AND status = %s
"""

COLUMNS: Final = """
    processing_id::text, service_name, processor_name, reference, event::text, status,
    status_note, input_rows, output_rows, started_at, ended_at
"""

NAMED: Final = "service_name = %s AND processor_name = %s AND reference = %s"

FIND: Final[dict[IdType, str]] = {
    "processing_id": f"""
        SELECT {COLUMNS} FROM datastore.processing_events
        WHERE service_name = %s AND processor_name = %s AND processing_id = %s::uuid
    """,
    # Clocks differ: the one in progress began after all others, whatever their times.
    "reference": f"""
        SELECT {COLUMNS} FROM datastore.processing_events
        WHERE processing_id = COALESCE(
            (
                SELECT processing_id FROM datastore.processing_events
                WHERE {NAMED} AND status = 'in-progress'
            ),
            (
                SELECT processing_id FROM datastore.processing_events
                WHERE {NAMED} ORDER BY started_at DESC LIMIT 1
            )
        )
    """,
}


class EventTable:
    """Rows in PostgreSQL, those in progress under one owner. Its first call applies migrations.

    A call whose connection turns out to be lost is made again on another of the pool: each
    statement is safe to repeat.
    """

    def __init__(
        self, client: RDSClient, owner: Owner, *, silent_after_s: float = SILENT_AFTER_S
    ) -> None:
        self.client = client
        self.owner = owner
        self.holding = Holding()
        self._silent_after_s = silent_after_s
        self._is_migrated = False

    def prepare(self) -> None:
        """Applies migrations, once for this object."""
        if not self._is_migrated:
            apply_migrations(self.client)
            self._is_migrated = True

    def start(self, event: ProcessingEvent) -> ProcessingEvent:
        """Stores the run, unless its reference is in progress; returns the one that is.

        The row of a reference that is in progress is this owner's from then on. Where its owner
        is silent, it is ended as abandoned and a new one stored. `app.tracking.payload` has
        checked the event before.
        """
        key = (event.service_name, event.processor_name, event.reference)
        text = written(event.event)
        with self.holding.starting(key):
            for _ in range(START_TRIES):
                found = self._again(lambda: self._insert(event, text))
                if found is not None:
                    self.holding.hold(found.processing_id)
                    return found
                self._again(
                    lambda: close_silent(self.client, key, silent_after_s=self._silent_after_s)
                )
        raise RowsAwayError(f"The row of '{event.reference}' changed hands {START_TRIES} times")

    def finish(self, event: ProcessingEvent) -> bool:
        """Stores the end of a run; False where no row was in progress under its id.

        True as well where this very end is there already: its answer was lost before.
        """
        end = self.holding.take_lost_end(event.processing_id) or End(event.ended_at)
        try:
            ended = self._again(lambda: self._finish(event, end))
        except BaseException:
            self.holding.lose_end(event.processing_id, end)
            raise
        self.holding.release(event.processing_id)
        return ended

    def find(
        self, service_name: str, processor_name: str, id_value: str, id_type: IdType
    ) -> ProcessingEvent | None:
        """The run, of a reference the one that started last, or None."""
        return self._again(lambda: self._find(service_name, processor_name, id_value, id_type))

    def _insert(self, event: ProcessingEvent, text: str) -> ProcessingEvent | None:
        """The row in progress; None where its owner is silent, or it has ended since."""
        values = (
            event.processing_id,
            event.service_name,
            event.processor_name,
            event.reference,
            text,
            event.input_rows,
            event.started_at,
            self.owner.owner_id,
            self._silent_after_s,
        )
        with statement(self.client) as cursor:
            cursor.execute(START, values)
            row = cursor.fetchone()
        if row is None:
            return None
        if row[0] == event.processing_id:
            return event
        found = self._find(event.service_name, event.processor_name, row[0], "processing_id")
        return None if found is None or found.is_finished() else found

    def _finish(self, event: ProcessingEvent, end: End) -> bool:
        names = (event.processing_id, event.service_name, event.processor_name)
        values = (event.status, event.status_note, event.output_rows, end.ended_at, end.end_id)
        with statement(self.client) as cursor:
            cursor.execute(FINISH, (*values, *names))
            if cursor.rowcount:
                return True
        with statement(self.client) as cursor:
            cursor.execute(HAS_ENDED, (event.processing_id, end.end_id, event.status))
            return bool(cursor.fetchone()[0])

    def _find(
        self, service_name: str, processor_name: str, id_value: str, id_type: IdType
    ) -> ProcessingEvent | None:
        names = (service_name, processor_name, id_value)
        values = names * 2 if id_type == "reference" else names
        with statement(self.client) as cursor:
            cursor.execute(FIND[id_type], values)
            row = cursor.fetchone()
        return None if row is None else _event(row)

    def _again(self, call: Callable[[], T]) -> T:
        began_s = time.monotonic()
        for left in reversed(range(_tries(self.client))):
            try:
                self.prepare()
                return call()
            except RowsAwayError:
                # A lost connection is told at once; who waited for the server has waited enough.
                if not left or time.monotonic() - began_s > CONNECT_WITHIN_S:
                    raise
                check = getattr(self.client, "check", None)
                if callable(check):
                    check()  # a restart of the server has broken every connection that lies there
        raise AssertionError("the last try returns or raises")


def _tries(client: RDSClient) -> int:
    """Enough to meet a connection that is not lost: psycopg2's pools give out each that is."""
    return 1 + int(getattr(client, "maxconn", 1)) if is_pool(client) else 1


def _event(row: Sequence[Any]) -> ProcessingEvent:
    names = dict(zip(_FIELDS, row, strict=True))
    names["event"] = json.loads(names["event"])
    for name in ("started_at", "ended_at"):
        if names[name] is not None:
            names[name] = names[name].astimezone(UTC)  # drivers give the session's zone
    return ProcessingEvent(**names)


_FIELDS: Final = (
    "processing_id",
    "service_name",
    "processor_name",
    "reference",
    "event",
    "status",
    "status_note",
    "input_rows",
    "output_rows",
    "started_at",
    "ended_at",
)
