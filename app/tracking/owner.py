"""Owners: the processes that have runs in progress, and when each was heard last.

All times are the server's. An owner is heard every `BEAT_EVERY_S`; what one that falls silent
leaves behind is closed by `app.tracking.abandonment`.
"""

import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.tracking.client import RDSClient, statement

BEAT_EVERY_S: Final = 5.0
# An owner that was not heard for this long begins anew: it may have been PostgreSQL that was away,
# and then for all the others, too.
GAP_S: Final = 15.0
# Kept long after its last sign, so that a note on its rows can still name it.
PURGE_AFTER_S: Final = 86_400.0
PURGED_AT_ONCE: Final = 1_000

BEAT: Final = """
    INSERT INTO datastore.processing_owners (owner_id, host, process_id, heard_since, seen_at)
    SELECT owner_id, host, process_id, clock_timestamp(), clock_timestamp()
    FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS heard (owner_id, host, process_id)
    ORDER BY owner_id
    ON CONFLICT (owner_id) DO UPDATE SET
        seen_at = EXCLUDED.seen_at,
        heard_since = CASE
            WHEN processing_owners.seen_at < EXCLUDED.seen_at - make_interval(secs => %s)
            THEN EXCLUDED.heard_since
            ELSE processing_owners.heard_since
        END
"""

PURGE: Final = """
    DELETE FROM datastore.processing_owners WHERE owner_id IN (
        SELECT owner_id FROM datastore.processing_owners AS owner
        WHERE seen_at < now() - make_interval(secs => %s)
          AND NOT EXISTS (
              SELECT FROM datastore.processing_events AS run
              WHERE run.owner_id = owner.owner_id AND run.status = 'in-progress'
          )
        LIMIT %s
    )
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, and one run of it: a number of a process is used again, an id is not."""

    owner_id: str
    host: str
    process_id: int


def new_owner() -> Owner:
    """This process under an id of its own."""
    return Owner(str(uuid.uuid4()), socket.gethostname(), os.getpid())


def beat(client: RDSClient, owners: Sequence[Owner]) -> None:
    """Says that these owners live."""
    values = (
        [owner.owner_id for owner in owners],
        [owner.host for owner in owners],
        [owner.process_id for owner in owners],
        GAP_S,
    )
    with statement(client) as cursor:
        cursor.execute(BEAT, values)


def purge_owners(client: RDSClient, *, after_s: float = PURGE_AFTER_S) -> int:
    """Forgets owners that were silent for so long and have nothing in progress; returns how many.

    At most `PURGED_AT_ONCE` of them; safe to repeat.
    """
    with statement(client) as cursor:
        cursor.execute(PURGE, (after_s, PURGED_AT_ONCE))
        return cursor.rowcount
