"""The connection to MongoDB, the truth; stores are the only callers of what it returns."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from bson import DBRef
from bson.codec_options import TypeDecoder, TypeRegistry
from pymongo import MongoClient, timeout
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app.settings import Settings, required

Document = dict[str, Any]
T = TypeVar("T")

RETRYABLE_LABELS: Final = ("RetryableWriteError", "TransientTransactionError")

# A server that starts, steps down or stops, by the codes of mongod's error_codes.yml. The driver
# knows some of them, and those at the top of an answer only, not among its write errors.
# 246: an index is just being made, and the moment to read at lies before it.
PASSING: Final = frozenset({91, 134, 189, 211, 246, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436})
# The driver's word for a member without a state yet, which a direct connection takes all the same.
NO_SESSIONS: Final = "Sessions are not supported"
DUPLICATE_KEY: Final = 11_000

# What a process that dies within a transaction leaves locked, other writes wait for: MongoDB has to
# free it about when the lease ends, and not after its own default, a minute. It looks twice in this
# time, so what is left is freed after one and a half of it at most.
TRANSACTION_LIFETIME: Final = "transactionLifetimeLimitSeconds"
TRANSACTION_LIFETIME_S: Final = 10


class _PlainObject(TypeDecoder):
    """An object with `$ref` and `$id` is as its sender meant it, a JSON Schema, say, and no
    reference of the driver's own, which it is read as otherwise.
    """

    bson_type = DBRef

    def transform_bson(self, value: DBRef) -> Document:
        return dict(value.as_doc())


AS_STORED: Final = TypeRegistry([_PlainObject()])

MAJORITY: Final = WriteConcern(w="majority", j=True, wtimeout=10_000)

# A read of several ranges of an index lets writes in between, and misses what moves from a range
# that is still to come to one that it has left: a task that changes its status. This one does not.
AT_ONE_MOMENT: Final = ReadConcern("snapshot")


def is_away(error: BaseException) -> bool:
    """Whether MongoDB was away for the moment: the same operation may succeed later.

    A restart also takes the open cursors with it, and a new primary may refuse what an old one
    had begun.
    """
    if isinstance(error, ConnectionFailure | CursorNotFound):
        return True
    if (codes := _codes(error)) and codes <= PASSING:
        return True
    if isinstance(error, ConfigurationError) and NO_SESSIONS in str(error):
        return True
    return isinstance(error, PyMongoError) and (
        error.timeout or any(error.has_error_label(label) for label in RETRYABLE_LABELS)
    )


def _codes(error: BaseException) -> set[int | None]:
    if isinstance(error, BulkWriteError):
        return {each["code"] for each in error.details["writeErrors"]}
    return {error.code} if isinstance(error, OperationFailure) else set()


def is_only_duplicates(error: BulkWriteError) -> bool:
    """Whether every write that a bulk left out clashed with what was there."""
    details = error.details
    return not details["writeConcernErrors"] and all(
        each["code"] == DUPLICATE_KEY for each in details["writeErrors"]
    )


def server_time(database: Database[Document]) -> datetime:
    """MongoDB's clock, aware, in UTC."""
    options = database.codec_options  # commands go by the driver's own otherwise
    now: datetime = database.command("hello", codec_options=options)["localTime"]
    return now


def insert_once(collection: Collection[Document], document: Document) -> Document:
    """Stores the document, or finds the one that an earlier run of its request stored.

    `DuplicateKeyError` for a clash in anything but the id.
    """
    try:
        collection.insert_one(document)
    except DuplicateKeyError:
        stored = collection.find_one({"_id": document["_id"]})
        if stored is None:
            raise
        return stored
    return document


def transact(
    database: Database[Document], write: Callable[[ClientSession], T], *, within: timedelta
) -> T:
    """What `write` returns, its writes acknowledged by the majority, all of them or none.

    Tries again, for as long as `within`, what MongoDB says may succeed then; so `write` may be
    called more than once. Raises the driver's error afterwards: the writes may still be there
    where the answer to the last try was lost.
    """
    with timeout(within.total_seconds()), database.client.start_session() as session:
        return session.with_transaction(
            write, read_concern=ReadConcern("snapshot"), write_concern=MAJORITY
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
        type_registry=AS_STORED,
    )
    return client.get_database(
        settings.mongo_database, write_concern=MAJORITY, read_concern=ReadConcern("majority")
    )
