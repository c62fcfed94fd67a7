"""Mailboxes: whose turn it is to serve the deliveries that share a receiver.

    {_id, channel, due_at (absent while nothing waits), rings, touched_at (absent while something
     waits), called_until, turn: {token, worker, expires_at}, health: {…}}

One dispatcher at a time has a mailbox's turn, so that a receiver's cap holds over all of them, and
so that a row which is being sent under another token than the turn's is a dead dispatcher's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, server_time
from app.deliveries.health import QUARANTINE_AFTER, Health
from app.webhooks.channel import Channel

COLLECTION: Final = "mailboxes"
# One in which nothing waits; a ring makes it again.
FORGOTTEN_AFTER: Final = timedelta(days=30)
# Whoever opens an endpoint does it next: what waits would be skipped before.
OPENED_WITHIN: Final = timedelta(seconds=5)

_TIMEOUTS: Final = "health.consecutive_timeouts"

INDEXES: Final = [
    IndexModel([("due_at", ASCENDING)], partialFilterExpression={"due_at": {"$exists": True}}),
    IndexModel([("turn.token", ASCENDING)], sparse=True),
    IndexModel(
        [("touched_at", ASCENDING)], expireAfterSeconds=int(FORGOTTEN_AFTER.total_seconds())
    ),
]


@dataclass(frozen=True, slots=True)
class Ring:
    """Rows of a mailbox are due from a moment on."""

    mailbox_id: str
    channel: Channel
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """Who serves: one run of one dispatcher, by the token that its rows carry."""

    token: str
    worker: str
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as whoever has its turn knows it; `rings` counts since it was made."""

    mailbox_id: str
    channel: Channel
    rings: int
    health: Health

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        return cls(
            stored["_id"],
            Channel(stored["channel"]),
            stored["rings"],
            Health.from_document(stored.get("health")),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """A turn that is given back: `due_at` is when the next of its rows is due, None where none is.

    It holds only if nobody rang since `rings` was read; the mailbox is due again at once otherwise.
    """

    mailbox_id: str
    rings: int
    due_at: datetime | None
    health: Health


class MailboxStore:
    """The collection `mailboxes`. Only MongoDB's clock says what is due and who is late."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._mailboxes = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Makes what is due findable and what is unused forgotten; safe to repeat."""
        self._mailboxes.create_indexes(INDEXES)

    def now(self) -> datetime:
        """MongoDB's clock."""
        return server_time(self._database)

    def ring(self, rings: Collection[Ring], *, session: ClientSession | None = None) -> None:
        """Says that rows are due; after they were stored, or in one transaction with them. Safe to
        repeat.
        """
        if rings:
            writes = [_rung(each) for each in rings]
            self._mailboxes.bulk_write(writes, ordered=False, session=session)

    def take(
        self, turn: Turn, *, limit: int, channels: Collection[Channel], quarantined: bool = False
    ) -> list[Mailbox]:
        """Those now served by `turn`: due, not paused and nobody else's, the longest due first.

        Those in quarantine and the others are taken apart from each other.
        """
        now = self.now()
        timeouts: Document = {"$gte": QUARANTINE_AFTER}
        query = {
            **_free(channels, now),
            _TIMEOUTS: timeouts if quarantined else {"$not": timeouts},
        }
        found = self._mailboxes.find(query, {"_id": 1}, sort=[("due_at", 1)], limit=limit)
        ids = [row["_id"] for row in found]
        if not ids:
            return []
        mine = {"token": turn.token, "worker": turn.worker, "expires_at": now + turn.lease}
        update = {"$set": {"turn": mine}, "$unset": {"called_until": "", "touched_at": ""}}
        self._mailboxes.update_many({"_id": {"$in": ids}, **query}, update)
        rows = self._mailboxes.find({"_id": {"$in": ids}, "turn.token": turn.token})
        return [Mailbox.from_document(row) for row in rows]

    def held(self, turn: Turn) -> dict[str, int]:
        """The rings of each mailbox whose turn is still this one, by id."""
        rows = self._mailboxes.find({"turn.token": turn.token}, {"rings": 1})
        return {row["_id"]: row["rings"] for row in rows}

    def renew(self, turn: Turn) -> None:
        """Extends the turn in all its mailboxes."""
        expires_at = self.now() + turn.lease
        self._mailboxes.update_many(
            {"turn.token": turn.token}, {"$set": {"turn.expires_at": expires_at}}
        )

    def note(self, turn: Turn, healths: dict[str, Health]) -> None:
        """Stores how receivers do, of mailboxes whose turn this still is."""
        writes = [
            UpdateOne(_mine(turn, mailbox_id), {"$set": {"health": health.to_document()}})
            for mailbox_id, health in healths.items()
        ]
        if writes:
            self._mailboxes.bulk_write(writes, ordered=False)

    def release(self, turn: Turn, releases: Sequence[Release]) -> None:
        """Gives turns back; those that were lost meanwhile stay as they are."""
        now = self.now()
        writes = [_releasing(turn, each, now) for each in releases]
        if writes:
            self._mailboxes.bulk_write(writes, ordered=False)

    def abandon(self, turn: Turn) -> None:
        """Gives all turns back that are left, due as they were: somebody else goes on."""
        self._mailboxes.update_many({"turn.token": turn.token}, {"$unset": {"turn": ""}})

    def call(self, channels: Collection[Channel], *, every: timedelta) -> list[Channel]:
        """Those among the channels that wait for their handlers; each at most once in `every`,
        until its handler takes its turn.
        """
        now = self.now()
        query = {**_free(channels, now), "called_until": {"$not": {"$gt": now}}}
        called = []
        for row in self._mailboxes.find(query, {"channel": 1}):
            update = {"$set": {"called_until": now + every}}
            guarded = {**query, "_id": row["_id"]}
            if self._mailboxes.update_one(guarded, update).modified_count:
                called.append(Channel(row["channel"]))
        return called

    def reset(self, mailbox_id: str) -> None:
        """Forgets its troubles, and ends the turn of whoever still knows of them; what waited for
        the end of a pause is looked for soon.
        """
        forget = {
            "$unset": {"health": "", "turn": "", "touched_at": ""},
            "$min": {"due_at": self.now() + OPENED_WITHIN},
            "$inc": {"rings": 1},
        }
        self._mailboxes.update_one({"_id": mailbox_id}, forget)

    def remove(self, mailbox_id: str, *, session: ClientSession | None = None) -> None:
        """Removes a mailbox; its rows, where it has any left, wait for a ring."""
        self._mailboxes.delete_one({"_id": mailbox_id}, session=session)

    def health(self, mailbox_ids: Collection[str]) -> dict[str, Health]:
        """How the receivers do that have been sent something, by mailbox."""
        rows = self._mailboxes.find({"_id": {"$in": list(mailbox_ids)}}, {"health": 1})
        return {row["_id"]: Health.from_document(row.get("health")) for row in rows}


def _rung(ring: Ring) -> UpdateOne:
    update = {
        "$min": {"due_at": ring.due_at},
        "$inc": {"rings": 1},
        "$setOnInsert": {"channel": ring.channel.value},
        "$unset": {"touched_at": ""},
    }
    return UpdateOne({"_id": ring.mailbox_id}, update, upsert=True)


def _free(channels: Collection[Channel], now: datetime) -> Document:
    """Due, not paused, and without a turn that lasts; a field that is absent is never later."""
    return {
        "channel": {"$in": [channel.value for channel in channels]},
        "due_at": {"$lte": now},
        "health.paused_until": {"$not": {"$gt": now}},
        "turn.expires_at": {"$not": {"$gt": now}},
    }


def _mine(turn: Turn, mailbox_id: str) -> Document:
    return {"_id": mailbox_id, "turn.token": turn.token}


def _releasing(turn: Turn, release: Release, now: datetime) -> UpdateOne:
    """One write, so that nobody, the same dispatcher included, takes the turn in the middle."""
    # To the end of the line, where it has more to do than its turn allowed.
    due_at = "$$REMOVE" if release.due_at is None else max(release.due_at, now)
    touched_at = now if release.due_at is None else "$$REMOVE"
    is_quiet = {"$eq": ["$rings", release.rings]}
    change = {
        "health": {"$literal": release.health.to_document()},
        "touched_at": {"$cond": [is_quiet, touched_at, "$$REMOVE"]},
        "due_at": {"$cond": [is_quiet, due_at, "$due_at"]},
        "turn": "$$REMOVE",
    }
    return UpdateOne(_mine(turn, release.mailbox_id), [{"$set": change}])
