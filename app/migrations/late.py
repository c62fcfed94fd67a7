"""What the source got after the last comparison had passed it by: reported, never just missed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from pymongo.client_session import ClientSession

from app.database import Document
from app.migrations.digest import content_digest
from app.migrations.plan import Plan, Track, TrackKind
from app.migrations.resource import ResourceType
from app.migrations.transfer import TransferStore
from app.receipts.receipt import JsonObject

SHOWN: Final = 10  # ids
LOOKED_AT: Final = 1_000  # rows of a track that were written since; more are not compared
# Of all tracks together: rows are counted one by one, documents are read to find those that have
# changed, and a transaction lasts ten seconds.
SCANNED_ROWS: Final = 200_000

Expected = Callable[[Track, Sequence[Document]], list[Document]]


def late_changes(
    transfer: TransferStore,
    plan: Plan,
    expected: Expected,
    since: datetime,
    session: ClientSession,
) -> JsonObject:
    """`{"count", "ids", "deleted", "complete"}`, as of the moment of the session's transaction.

    `ids` are the first of what differs in the source; `deleted` counts what only the target has.
    `complete` is false where there was too much to look at: there may be more then.
    """
    ids: list[str] = []
    deleted, is_complete = 0, True
    taxonomy_ids = [
        each.resource_id for each in plan.resources if each.resource_type is ResourceType.TAXONOMY
    ]
    left = SCANNED_ROWS
    for track in plan.tracks:
        left -= track.compared
        is_small = left >= 0
        rows: list[Document] = []
        if is_small or track.kind is TrackKind.OBJECTS:
            rows = transfer.changed_since(
                track, since, session, taxonomy_ids=taxonomy_ids, limit=LOOKED_AT
            )
        is_complete = is_complete and is_small and len(rows) < LOOKED_AT
        wanted = expected(track, rows)
        found = transfer.counterparts(track, [row["_id"] for row in wanted], session)
        new = [row for row in wanted if row["_id"] not in found]
        ids += [
            row["_id"]
            for row, want in zip(rows, wanted, strict=True)
            if want["_id"] not in found
            or content_digest(found[want["_id"]]) != content_digest(want)
        ]
        if is_small:
            source_rows, target_rows = transfer.counts(track, session)
            deleted += max(0, target_rows + len(new) - source_rows)
    return {
        "count": len(ids),
        "ids": sorted(ids)[:SHOWN],
        "deleted": deleted,
        "complete": is_complete,
    }
