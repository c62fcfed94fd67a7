"""The connection to MongoDB, the truth; stores are the only callers of what it returns."""

from typing import Any, Final

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app.settings import Settings, required

Document = dict[str, Any]

MAJORITY: Final = WriteConcern(w="majority", j=True, wtimeout=10_000)


def connect(settings: Settings, *, role: str, wait_s: float) -> Database[Document]:
    """The database, on a client of this process; no byte is sent before the first operation.

    Writes are acknowledged by the majority, times are aware UTC. An operation waits `wait_s`
    seconds for a primary before it raises. A client must not cross a fork: connect after it.
    """
    client: MongoClient[Document] = MongoClient(
        required(settings.mongo_url, "mongo_url"),
        appname=f"waybill-{role}",
        tz_aware=True,
        serverSelectionTimeoutMS=int(wait_s * 1000),
        connectTimeoutMS=5_000,
        socketTimeoutMS=30_000,
        retryWrites=True,
    )
    return client.get_database(
        settings.mongo_database, write_concern=MAJORITY, read_concern=ReadConcern("majority")
    )
