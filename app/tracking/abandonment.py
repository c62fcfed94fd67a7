"""Runs that nobody will end: those of owners that fell silent, or are known to be dead.

Each is ended at the last sign of its owner, not when that was missed: people read durations.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from app.tracking.client import RDSClient, statement
from app.tracking.event import Outcome
from app.tracking.holding import Holding, Key

log = structlog.get_logger(__name__)

SILENT_AFTER_S: Final = 60.0
CLOSED_AT_ONCE: Final = 500

_END: Final = """
    UPDATE datastore.processing_events AS run SET
        status = 'failure',
        status_note = CASE
            WHEN silent.host IS NULL THEN 'abandoned: its process was never heard'
            ELSE 'abandoned: process ' || silent.process_id || ' on ' || silent.host
                || ' is silent'
        END,
        ended_at = GREATEST(silent.heard_at, run.started_at)
    FROM silent
    WHERE run.processing_id = silent.processing_id AND run.status = 'in-progress'
"""

_SILENT: Final = """
        SELECT run.processing_id, owner.host, owner.process_id,
            GREATEST(owner.seen_at, run.stored_at) AS heard_at
        FROM datastore.processing_events AS run
        LEFT JOIN datastore.processing_owners AS owner USING (owner_id)
        WHERE run.status = 'in-progress'
          AND GREATEST(owner.seen_at, run.stored_at) < clock_timestamp() - make_interval(secs => %s)
"""

# Whoever sweeps must have been heard itself for as long as it asks of others, without a gap: after
# an outage all look silent, and each has had the time to be heard again.
CLOSE_SILENT: Final = f"""
    WITH silent AS (
        {_SILENT}
          AND EXISTS (
              SELECT FROM datastore.processing_owners AS sweeper
              WHERE sweeper.owner_id = %s
                AND sweeper.heard_since <= clock_timestamp() - make_interval(secs => %s)
                AND sweeper.seen_at >= clock_timestamp() - make_interval(secs => %s)
          )
        LIMIT %s
        FOR UPDATE OF run SKIP LOCKED
    )
    {_END}
"""

# Whoever starts a reference again need not have been heard: a start cannot wait for a minute.
CLOSE_ONE: Final = f"""
    WITH silent AS (
        {_SILENT}
          AND run.service_name = %s AND run.processor_name = %s AND run.reference = %s
          AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)
        FOR UPDATE OF run
    )
    {_END}
"""

CLOSE_OF: Final = """
    UPDATE datastore.processing_events AS run SET
        status = 'failure',
        status_note = %s,
        ended_at = GREATEST(run.started_at, COALESCE(
            (SELECT seen_at FROM datastore.processing_owners AS owner
             WHERE owner.owner_id = run.owner_id),
            run.stored_at
        ))
    WHERE owner_id = ANY(%s::text[]) AND status = 'in-progress'
"""

IN_PROGRESS_OF: Final = """
    SELECT processing_id::text, service_name, processor_name, reference, stored_at
    FROM datastore.processing_events
    WHERE owner_id = %s AND status = 'in-progress'
"""
CLOSE_UNKNOWN: Final = """
    UPDATE datastore.processing_events SET
        status = 'failure',
        status_note = 'the answer to its start was lost: nobody was told its id',
        ended_at = GREATEST(stored_at, started_at)
    WHERE processing_id = %s::uuid AND owner_id = %s AND stored_at = %s AND status = 'in-progress'
"""
ENDED_AMONG: Final = """
    SELECT processing_id::text, status FROM datastore.processing_events
    WHERE processing_id = ANY(%s::uuid[]) AND status <> 'in-progress'
"""


def close_abandoned(client: RDSClient, *, by: str, silent_after_s: float = SILENT_AFTER_S) -> int:
    """Ends rows of silent owners as failures that name host and process; returns how many.

    `by` is the owner that sweeps: nothing is closed before it was heard for `silent_after_s`
    without a gap. At most `CLOSED_AT_ONCE` rows; safe to repeat and to run from many at once.
    """
    with statement(client) as cursor:
        values = (silent_after_s, by, silent_after_s, silent_after_s, CLOSED_AT_ONCE)
        cursor.execute(CLOSE_SILENT, values)
        count = cursor.rowcount
    if count:
        log.warning("tracking.abandoned", runs=count)
    return count


def close_silent(client: RDSClient, key: Key, *, silent_after_s: float = SILENT_AFTER_S) -> bool:
    """Ends the row in progress of one reference where its owner is silent; says whether it was."""
    with statement(client) as cursor:
        cursor.execute(CLOSE_ONE, (silent_after_s, *key, silent_after_s))
        return cursor.rowcount > 0


def close_unknown(client: RDSClient, owner_id: str, holding: Holding) -> int:
    """Ends rows of this process that nobody in it knows: their start seemed to fail.

    A row that somebody starts again meanwhile has another `stored_at`, and stays.
    """
    with statement(client) as cursor:
        cursor.execute(IN_PROGRESS_OF, (owner_id,))
        rows = cursor.fetchall()
    unknown = [
        (processing_id, stored_at)
        for processing_id, *key, stored_at in rows
        if not holding.knows(processing_id, (key[0], key[1], key[2]))
    ]
    count = 0
    for processing_id, stored_at in unknown:
        with statement(client) as cursor:
            cursor.execute(CLOSE_UNKNOWN, (processing_id, owner_id, stored_at))
            count += cursor.rowcount
    if count:
        log.warning("tracking.lost_starts_closed", runs=count)
    return count


def ended_among(client: RDSClient, processing_ids: Sequence[str]) -> dict[str, Outcome]:
    """Which of these runs have ended, and how."""
    with statement(client) as cursor:
        cursor.execute(ENDED_AMONG, (list(processing_ids),))
        return dict(cursor.fetchall())


def close_of(client: RDSClient, owner_ids: Sequence[str], *, note: str) -> int:
    """Ends all rows in progress of owners that are known to be dead; returns how many."""
    with statement(client) as cursor:
        cursor.execute(CLOSE_OF, (note, list(owner_ids)))
        return cursor.rowcount
