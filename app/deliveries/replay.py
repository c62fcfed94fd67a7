"""Sending again what has ended: the same event under the same id, for another round of attempts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateMany
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, transact
from app.deliveries.attempt import MAX_ATTEMPTS
from app.deliveries.delivery import ENDED, Stage
from app.deliveries.log import COLLECTION, FIELDS, MAX_COUNTED, in_stage
from app.deliveries.mailbox import MailboxStore, Ring
from app.errors import AlreadyExistsError
from app.identity import new_id
from app.query.page import ListQuery, condition_of
from app.receipts.draft import this_moment
from app.webhooks.channel import Channel

MAX_REPLAYED: Final = 1_000  # deliveries of one call
# Of all calls: an endpoint that was away for long is not run over once it is back.
EACH_SECOND: Final = 50
TOGETHER: Final = 5  # are due at the same moment
GROUPS_APART: Final = timedelta(seconds=TOGETHER / EACH_SECOND)
WITHIN: Final = timedelta(seconds=10)

# Of what was replayed alone, which most never are.
INDEXES: Final = [
    IndexModel([("replay_id", ASCENDING)], sparse=True),
    IndexModel(
        [
            ("webhook_id", ASCENDING),
            ("status", ASCENDING),
            ("round_attempts", ASCENDING),
            ("due_at", DESCENDING),
        ],
        partialFilterExpression={"round": {"$gt": 0}},
    ),
]


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many were taken, how many are left (`MAX_COUNTED` are counted), and when the last of
    those taken is due.
    """

    replayed: int
    remaining: int
    last_due_at: datetime | None


class Replay:
    """Makes deliveries of webhooks due again."""

    def __init__(self, database: Database[Document], mailboxes: MailboxStore) -> None:
        self._database = database
        self._deliveries = database[COLLECTION]
        self._mailboxes = mailboxes

    def ensure_indexes(self) -> None:
        """Makes what was replayed findable; safe to repeat."""
        self._deliveries.create_indexes(INDEXES)

    def one(self, delivery: Document) -> Document:
        """The delivery, due now; one that has not ended stays as it is.

        `AlreadyExistsError` where its log is full. A request that is repeated changes nothing.
        """
        now, replay_id = this_moment(), new_id("rpl")
        ring = Ring(delivery["mailbox_id"], Channel(delivery["channel"]), now)
        query = {
            "_id": delivery["_id"],
            "replay_id": {"$ne": replay_id},
            "status": {"$in": [each.value for each in ENDED]},
            "attempt_count": {"$lt": MAX_ATTEMPTS},
        }

        def again(session: ClientSession) -> Document | None:
            stored: Document | None = self._deliveries.find_one_and_update(
                query,
                _due_again(now, now, replay_id),
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if stored is not None:
                self._mailboxes.ring([ring], session=session)
            return stored

        stored = transact(self._database, again, within=WITHIN)
        if stored is not None:
            return stored
        if delivery["status"] in ENDED and delivery["attempt_count"] >= MAX_ATTEMPTS:
            raise AlreadyExistsError(
                f"The delivery was attempted {MAX_ATTEMPTS} times, as often as its log has room for"
            )
        return self._deliveries.find_one({"_id": delivery["_id"]}) or delivery

    def some(self, webhook_id: str, query: ListQuery, stages: Collection[Stage]) -> Replayed:
        """Makes those that ended so and that the query asks for due again, the oldest first, as
        many as its limit, `EACH_SECOND` in each second after what earlier calls made due.

        A request that is repeated takes what its first run left of its limit.
        """
        replay_id, those = new_id("rpl"), _replayable(webhook_id, stages)
        asked = condition_of({**those, "replay_id": {"$ne": replay_id}}, query, FIELDS)
        before = list(self._deliveries.find(_replayed(webhook_id, replay_id), {"due_at": 1}))
        due_at = [row["due_at"] for row in before]
        if (limit := min(query.limit, MAX_REPLAYED) - len(before)) > 0:
            found = self._deliveries.find(asked, {"_id": 1}).sort("created_at", ASCENDING)
            ids = [row["_id"] for row in found.limit(limit)]
            due_at += self._line_up(webhook_id, those, ids, replay_id) if ids else []
        remaining = self._deliveries.count_documents(asked, limit=MAX_COUNTED)
        return Replayed(len(due_at), remaining, max(due_at, default=None))

    def _line_up(
        self, webhook_id: str, those: Document, ids: Sequence[str], replay_id: str
    ) -> list[datetime]:
        """Makes these due, one group after the other; when each that was not taken by others is."""
        groups = [ids[n : n + TOGETHER] for n in range(0, len(ids), TOGETHER)]

        def line_up(session: ClientSession) -> list[datetime]:
            now = this_moment()
            # First: of several replays one at a time goes on from here.
            self._ring(webhook_id, now, session)
            last = self._last_due(webhook_id, session)
            start = now if last is None else max(now, last + GROUPS_APART)
            due_at = [start + n * GROUPS_APART for n in range(len(groups))]
            writes = [
                UpdateMany({"_id": {"$in": group}, **those}, _due_again(at, now, replay_id))
                for group, at in zip(groups, due_at, strict=True)
            ]
            self._deliveries.bulk_write(writes, ordered=False, session=session)
            taken = {"_id": {"$in": ids}, "replay_id": replay_id}
            rows = self._deliveries.find(taken, {"due_at": 1}, session=session)
            return [row["due_at"] for row in rows]

        return transact(self._database, line_up, within=WITHIN)

    def _last_due(self, webhook_id: str, session: ClientSession) -> datetime | None:
        """When the last is due that waits for the first attempt since it was replayed."""
        query = {
            **in_stage(webhook_id, (Stage.PENDING,)),
            "round": {"$gt": 0},
            "round_attempts": 0,
        }
        order = [("due_at", DESCENDING)]
        row = self._deliveries.find_one(query, {"due_at": 1}, sort=order, session=session)
        return None if row is None else row["due_at"]

    def _ring(self, webhook_id: str, due_at: datetime, session: ClientSession) -> None:
        self._mailboxes.ring([Ring(webhook_id, Channel.WEBHOOK, due_at)], session=session)


def _replayed(webhook_id: str, replay_id: str) -> Document:
    return {"webhook_id": webhook_id, "replay_id": replay_id}


def _replayable(webhook_id: str, stages: Collection[Stage]) -> Document:
    return {**in_stage(webhook_id, stages), "attempt_count": {"$lt": MAX_ATTEMPTS}}


def _due_again(due_at: datetime, now: datetime, replay_id: str) -> Document:
    return {
        "$set": {
            "status": Stage.PENDING.value,
            "due_at": due_at,
            "token": None,
            "round_attempts": 0,
            "error": None,
            "ended_at": None,
            "updated_at": now,
            "replay_id": replay_id,
        },
        "$inc": {"round": 1},
        "$unset": {"expire_at": ""},
    }
