"""How far behind deliveries are: the age of the oldest news that nobody was told of."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.database import Database

from app.database import Document, server_time
from app.deliveries.mailbox import COLLECTION as MAILBOXES
from app.events.outbox import COLLECTION as OUTBOX
from app.receipts.write import COLLECTION as TASKS


@dataclass(frozen=True, slots=True)
class Lag:
    """`expansion`: of what has no deliveries yet; `dispatch`: of mailboxes that are due, not
    paused, and that nobody serves. Zero where nothing waits.
    """

    expansion: timedelta
    dispatch: timedelta


def lag_of(database: Database[Document]) -> Lag:
    """The lag by MongoDB's clock; three reads, each of one index entry."""
    now = server_time(database)
    unserved = {
        "health.paused_until": {"$not": {"$gt": now}},
        "turn.expires_at": {"$not": {"$gt": now}},
    }
    untold = _oldest(database, TASKS, "untold_since", {})
    waiting = _oldest(database, OUTBOX, "waiting_since", {})
    return Lag(
        expansion=max(_age(untold, now), _age(waiting, now)),
        dispatch=_age(_oldest(database, MAILBOXES, "due_at", unserved), now),
    )


def _oldest(
    database: Database[Document], collection: str, field: str, among: Document
) -> datetime | None:
    query = {field: {"$exists": True}, **among}
    row = database[collection].find_one(query, {field: 1}, sort=[(field, 1)])
    return None if row is None else row[field]


def _age(since: datetime | None, now: datetime) -> timedelta:
    return timedelta(0) if since is None else max(timedelta(0), now - since)
