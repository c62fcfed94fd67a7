"""The log of deliveries, as owners of endpoints read it, add a test to it and forget parts of it.

What dispatchers do with the same rows is in `store`.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import AT_ONE_MOMENT, Document, transact
from app.deliveries.attempt import Outcome
from app.deliveries.delivery import OPEN, ErrorKind, Stage
from app.deliveries.mailbox import MailboxStore, Ring
from app.errors import NotFoundError
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, condition_of, list_page
from app.receipts.draft import this_moment
from app.webhooks.channel import Channel

COLLECTION: Final = "deliveries"
STEP: Final = 1_000  # rows of one write
MAX_STEPS: Final = 10  # of one call
MAX_COUNTED: Final = 10_000
WITHIN: Final = timedelta(seconds=5)
REMOVED: Final = "The webhook was deleted before this was delivered."

FIELDS: Final = FieldSet(
    {
        "delivery_id": Field("_id", nullable=False),
        "namespace_id": Field("namespace_id", nullable=False),
        "event_id": Field("event_id", nullable=False),
        "event_type": Field("event_type", nullable=False),
        "task_id": Field("task_id"),
        "status": Field("status", choices=tuple(Stage), nullable=False),
        "attempt_count": Field("attempt_count", Kind.NUMBER, nullable=False),
        "outcome": Field("attempts.outcome", choices=tuple(Outcome)),
        "error_kind": Field("attempts.error_kind", choices=tuple(ErrorKind)),
        "status_code": Field("attempts.status_code", Kind.NUMBER),
        "worker": Field("attempts.worker"),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "ended_at": Field("ended_at", Kind.DATETIME),
    }
)
# Those of callbacks are found by their task; those of handlers in here are in no log.
_OF_WEBHOOKS: Final = {"webhook_id": {"$gt": ""}}
_WEBHOOK: Final = ("webhook_id", ASCENDING)
INDEXES: Final = [
    IndexModel(
        [_WEBHOOK, ("created_at", DESCENDING), ("_id", DESCENDING)],
        partialFilterExpression=_OF_WEBHOOKS,
    ),
    IndexModel(
        [_WEBHOOK, ("status", ASCENDING), ("created_at", ASCENDING)],
        partialFilterExpression=_OF_WEBHOOKS,
    ),
    IndexModel(
        [("task_id", ASCENDING)],
        partialFilterExpression={"channel": Channel.CALLBACK.value},
    ),
]
# What may be long, and a list leaves out.
_LONG: Final = (
    "body",
    "attempts.request_headers",
    "attempts.response_headers",
    "attempts.response_body",
)


class DeliveryLog:
    """The deliveries of webhooks, each of which every call names."""

    def __init__(
        self, database: Database[Document], mailboxes: MailboxStore, *, retention: timedelta
    ) -> None:
        """What has ended is kept for `retention`."""
        self._database = database
        self._deliveries = database[COLLECTION]
        self._mailboxes = mailboxes
        self._retention = retention

    def ensure_indexes(self) -> None:
        """Makes logs fast to read; safe to repeat."""
        self._deliveries.create_indexes(INDEXES)

    def list(self, webhook_id: str, query: ListQuery) -> Page[Document]:
        """A page of its deliveries, without the bodies and headers that went and came back."""
        scope = {"webhook_id": webhook_id}
        return list_page(self._deliveries, scope, query, FIELDS, dict.fromkeys(_LONG, 0))

    def get(self, webhook_id: str, delivery_id: str) -> Document:
        """One delivery with all its attempts; or `NotFoundError`."""
        stored = self._deliveries.find_one({"_id": delivery_id, "webhook_id": webhook_id})
        if stored is None:
            raise NotFoundError(f"There is no delivery '{delivery_id[:128]}' of this webhook")
        return stored

    def callback(self, task_id: str, *, namespace_id: str) -> Document:
        """What the URL was sent that the task names; `NotFoundError` where it names none, or has
        not ended.
        """
        scope = {"channel": Channel.CALLBACK.value, "namespace_id": namespace_id}
        stored = self._deliveries.find_one({"task_id": task_id, **scope})
        if stored is None:
            raise NotFoundError(
                f"There is no callback of a task '{task_id[:128]}': it has not ended, or names no "
                "webhook_url"
            )
        return stored

    def add(self, delivery: Document) -> Document:
        """Stores a delivery that is due now, or finds it as it is."""

        def store(session: ClientSession) -> Document:
            found = self._deliveries.find_one({"_id": delivery["_id"]}, session=session)
            if found is None:
                self._deliveries.insert_one(delivery, session=session)
                self._mailboxes.ring([_ring(delivery)], session=session)
            return found or delivery

        return transact(self._database, store, within=WITHIN)

    def counts(self, webhook_id: str) -> Mapping[str, int]:
        """How many are open and how many are dead letters; no more than `MAX_COUNTED` of each."""
        stages: dict[str, Collection[Stage]] = {"open": OPEN, "exhausted": (Stage.EXHAUSTED,)}
        # Each attempt takes a delivery from one open stage to the other.
        rows = self._deliveries.with_options(read_concern=AT_ONE_MOMENT)
        return {
            name: rows.count_documents(in_stage(webhook_id, those), limit=MAX_COUNTED)
            for name, those in stages.items()
        }

    def purge(self, webhook_id: str, query: ListQuery, stages: Collection[Stage]) -> int:
        """Forgets those that ended so and that the query asks for, `STEP` × `MAX_STEPS` at most;
        how many. Safe to repeat.
        """
        asked = condition_of(in_stage(webhook_id, stages), query, FIELDS)
        return sum(
            self._deliveries.delete_many({"$and": [some, asked]}).deleted_count
            for some in self._steps(asked)
        )

    def close(self, webhook_id: str) -> None:
        """Ends what waits for a webhook that was deleted, as skipped, and forgets its mailbox.

        Safe to repeat. What is being sent, or was added meanwhile, its dispatcher ends.
        """
        waiting, now = in_stage(webhook_id, (Stage.PENDING,)), this_moment()
        ended = {
            "status": Stage.SKIPPED.value,
            "error": REMOVED,
            "updated_at": now,
            "ended_at": now,
            "expire_at": now + self._retention,
        }
        for some in self._steps(waiting):
            self._deliveries.update_many({**waiting, **some}, {"$set": ended})

        def forget(session: ClientSession) -> bool:
            left = self._deliveries.find_one(in_stage(webhook_id, OPEN), session=session)
            if left is None:
                self._mailboxes.remove(webhook_id, session=session)
            return left is None

        if not transact(self._database, forget, within=WITHIN):
            self._mailboxes.ring([Ring(webhook_id, Channel.WEBHOOK, now)])

    def _steps(self, asked: Document) -> Iterator[Document]:
        """Conditions of some rows each, until none is left that was asked for."""
        for _ in range(MAX_STEPS):
            ids = [row["_id"] for row in self._deliveries.find(asked, {"_id": 1}).limit(STEP)]
            if ids:
                yield {"_id": {"$in": ids}}
            if len(ids) < STEP:
                return


def _ring(delivery: Document) -> Ring:
    return Ring(delivery["webhook_id"], Channel.WEBHOOK, delivery["due_at"])


def in_stage(webhook_id: str, stages: Collection[Stage]) -> Document:
    """The deliveries of the webhook that are there."""
    return {"webhook_id": webhook_id, "status": {"$in": [each.value for each in stages]}}
