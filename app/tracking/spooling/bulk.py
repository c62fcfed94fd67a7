"""Lines of a spool, stored in the table many at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.tracking.client import RDSClient, transaction
from app.tracking.spooling.line import ENDED, OF_END, Line

# A start that is stored already, read again by a drainer that came after another, changes nothing.
STORE: Final = """
    INSERT INTO datastore.processing_events AS run (
        processing_id, service_name, processor_name, reference, event, status, status_note,
        input_rows, output_rows, started_at, ended_at, owner_id
    )
    SELECT
        processing_id, service_name, processor_name, reference, event, status, status_note,
        input_rows, output_rows, started_at, ended_at, owner_id
    FROM jsonb_to_recordset(%s::jsonb) AS line (
        processing_id uuid, service_name text, processor_name text, reference text, event jsonb,
        status text, status_note text, input_rows bigint, output_rows bigint,
        started_at timestamptz, ended_at timestamptz, owner_id text
    )
    ON CONFLICT (processing_id) DO UPDATE SET
        status = EXCLUDED.status,
        status_note = EXCLUDED.status_note,
        output_rows = EXCLUDED.output_rows,
        ended_at = GREATEST(EXCLUDED.ended_at, run.started_at)
    WHERE run.status = 'in-progress' AND EXCLUDED.status <> 'in-progress'
"""

END: Final = """
    UPDATE datastore.processing_events AS run SET
        status = line.status,
        status_note = line.status_note,
        output_rows = line.output_rows,
        ended_at = GREATEST(line.ended_at, run.started_at)
    FROM jsonb_to_recordset(%s::jsonb) AS line (
        processing_id uuid, status text, status_note text, output_rows bigint,
        ended_at timestamptz
    )
    WHERE run.processing_id = line.processing_id AND run.status = 'in-progress'
"""

# By PEP 249 and, where it says too little, psycopg: what another try with the same row would meet.
FLAWS: Final = frozenset({"DataError", "IntegrityError", "ProgramLimitExceeded"})


def store(client: RDSClient, lines: Sequence[Line]) -> int:
    """Starts and ends in their order, all in one transaction; returns how many runs are new.

    Safe to repeat: a run whose start alone was stored then counts again. A run that starts and
    ends among them is one row from the first. Each line names its owner.
    """
    starts, ends = folded(lines)
    stored = 0
    with transaction(client) as cursor:
        if starts:
            cursor.execute(STORE, (_json(starts),))
            stored = cursor.rowcount
        if ends:
            cursor.execute(END, (_json(ends),))
    return stored


def folded(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The rows to insert, and the ends of runs that started before these lines."""
    starts: dict[str, Line] = {}
    ends: dict[str, Line] = {}
    for line in lines:
        processing_id = line["processing_id"]
        if line["kind"] != ENDED:
            starts.setdefault(processing_id, line)
        elif processing_id not in starts:
            ends.setdefault(processing_id, line)
        elif starts[processing_id].get("ended_at") is None:
            starts[processing_id] = starts[processing_id] | _end(line)
    return list(starts.values()), list(ends.values())


def is_flaw(exc: Exception) -> bool:
    """Whether a row was refused, rather than PostgreSQL not being ready for any."""
    cause = exc.__cause__
    return bool(FLAWS & {each.__name__ for each in type(cause).__mro__})


def _end(line: Line) -> Line:
    return {name: line.get(name) for name in OF_END}  # what is missing PostgreSQL refuses


def _json(lines: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(lines, ensure_ascii=False)
