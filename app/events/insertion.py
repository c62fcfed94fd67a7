"""Storing a row together with the event that it is there."""

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.events.event import Event
from app.events.outbox import OutboxStore


def insert_told(
    outbox: OutboxStore, rows: Collection[Document], document: Document, event: Event
) -> Document:
    """Stores both or neither, or finds the row that an earlier run of the request stored.

    `DuplicateKeyError` for a clash in anything but the id.
    """

    def write(session: ClientSession) -> Document:
        rows.insert_one(document, session=session)
        return document

    try:
        return outbox.telling(write, lambda _: [event])
    except DuplicateKeyError:
        stored = rows.find_one({"_id": document["_id"]})
        if stored is None:
            raise
        return stored
