"""The connection to MongoDB, the truth; stores are the only callers of what it returns."""

from typing import Any, Final

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, CursorNotFound, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app.settings import Settings, required

Document = dict[str, Any]

RETRYABLE_LABELS: Final = ("RetryableWriteError", "TransientTransactionError")

MAJORITY: Final = WriteConcern(w="majority", j=True, wtimeout=10_000)


def is_away(error: BaseException) -> bool:
    """Whether MongoDB was away for the moment: the same operation may succeed later.

    A restart also takes the open cursors with it, and a new primary may refuse what an old one
    had begun.
    """
    if isinstance(error, ConnectionFailure | CursorNotFound):
        return True
    return isinstance(error, PyMongoError) and (
        error.timeout or any(error.has_error_label(label) for label in RETRYABLE_LABELS)
    )


def connect(settings: Settings, *, role: str, wait_s: float, answer_s: float) -> Database[Document]:
    """The database, on a client of this process; no byte is sent before the first operation.

    Writes are acknowledged by the majority, times are aware UTC. An operation waits `wait_s`
    seconds for a primary, and `answer_s` for an answer, before it raises. A client must not
    cross a fork: connect after it.
    """
    client: MongoClient[Document] = MongoClient(
        required(settings.mongo_url, "mongo_url"),
        appname=f"waybill-{role}",
        tz_aware=True,
        serverSelectionTimeoutMS=int(wait_s * 1000),
        connectTimeoutMS=5_000,
        socketTimeoutMS=int(answer_s * 1000),
        retryWrites=True,
    )
    return client.get_database(
        settings.mongo_database, write_concern=MAJORITY, read_concern=ReadConcern("majority")
    )
