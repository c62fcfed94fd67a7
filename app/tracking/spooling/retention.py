"""Rows that ended long ago are deleted, a step at a time."""

from datetime import timedelta
from typing import Final

from app.tracking.client import RDSClient, transaction

PURGED_AT_ONCE: Final = 2_000

# What ended before a time has started before it: the index of starts finds it, none is of ends.
PURGE: Final = """
    DELETE FROM datastore.processing_events WHERE processing_id IN (
        SELECT processing_id FROM datastore.processing_events
        WHERE ended_at < now() - make_interval(secs => %s)
          AND started_at < now() - make_interval(secs => %s)
        ORDER BY started_at
        LIMIT %s
        FOR UPDATE SKIP LOCKED
    )
"""


def purge_runs(client: RDSClient, *, after: timedelta, most: int = PURGED_AT_ONCE) -> int:
    """Deletes up to `most` runs that ended longer ago than that; returns how many.

    Those that started first go first. Runs in progress stay. Safe to run from many at once.
    """
    with transaction(client) as cursor:
        cursor.execute(PURGE, (after.total_seconds(), after.total_seconds(), most))
        return cursor.rowcount
