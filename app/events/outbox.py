"""Events of resources, stored in one transaction with the change that they tell of.

Tasks need no rows here: the history of a receipt is written with each of its transitions, and
says all that happened (`app/receipts/outbox.py`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document, T, transact
from app.events.event import Event

COLLECTION: Final = "outbox"
WITHIN: Final = timedelta(seconds=10)

INDEXES: Final = [
    IndexModel(
        [("waiting_since", ASCENDING), ("_id", ASCENDING)],
        partialFilterExpression={"waiting_since": {"$exists": True}},
    ),
    IndexModel([("expire_at", ASCENDING)], expireAfterSeconds=0),
]


class OutboxStore:
    """The collection `outbox`: events that wait until there is a delivery for each target."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._events = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Makes what waits findable and what is old forgotten; safe to repeat."""
        self._events.create_indexes(INDEXES)

    def add(self, events: Sequence[Event], *, session: ClientSession) -> None:
        """Stores events in the transaction of the change that they tell of; again, nothing."""
        if events:
            writes = [
                UpdateOne({"_id": event.event_id}, {"$setOnInsert": _waiting(event)}, upsert=True)
                for event in events
            ]
            self._events.bulk_write(writes, ordered=False, session=session)

    def telling(
        self, write: Callable[[ClientSession], T], events: Callable[[T], Sequence[Event]]
    ) -> T:
        """What `write` returns; its writes and the events of its result are stored in one
        transaction. Both may be called again where MongoDB asks for another try.
        """

        def both(session: ClientSession) -> T:
            result = write(session)
            self.add(events(result), session=session)
            return result

        return transact(self._database, both, within=WITHIN)

    def waiting(self, *, limit: int) -> list[Event]:
        """Events that wait, the oldest first."""
        found = self._events.find({"waiting_since": {"$exists": True}}, limit=limit)
        return [Event.from_document(row) for row in found.sort("waiting_since", ASCENDING)]

    def told(self, event_ids: Sequence[str], *, expire_at: datetime) -> None:
        """Notes that each has a delivery for each target; safe to repeat."""
        if event_ids:
            self._events.update_many(
                {"_id": {"$in": list(event_ids)}},
                {"$unset": {"waiting_since": ""}, "$set": {"expire_at": expire_at}},
            )


def _waiting(event: Event) -> Document:
    stored = event.to_document()
    stored.pop("_id")  # the filter of the upsert has it
    return {**stored, "waiting_since": event.occurred_at}
