"""MongoDB: whether it answers, takes writes for good, and has the right time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError

from app.database import TRANSACTION_LIFETIME, TRANSACTION_LIFETIME_S, Document, connect
from app.doctor.finding import Finding, fail, ok, warn
from app.doctor.index import look_at_indexes
from app.doctor.subject import Subject
from app.receipts.pulse import PulseStore

WAIT_S: Final = 3.0
ANSWER_S: Final = 5.0
OLDEST: Final = (6, 0)
NAME: Final = "doctor"
# Only MongoDB's clock decides about leases; the others' show up in the times that people read.
APART: Final = timedelta(seconds=2)
REFUSED: Final = frozenset({13, 18})  # Unauthorized, AuthenticationFailed of error_codes.yml


def look_at_mongodb(subject: Subject) -> list[Finding]:
    """Nothing where no URL is set: then `waybill up` brings its own."""
    if subject.settings.mongo_url is None:
        return []
    try:
        database = connect(subject.settings, role=NAME, wait_s=WAIT_S, answer_s=ANSWER_S)
    except (PyMongoError, ValueError):
        return [fail("mongodb", "WAYBILL_MONGO_URL is no URL of MongoDB", "write mongodb://host…")]
    with database.client:
        return list(_examined(database))


def _examined(database: Database[Document]) -> Iterator[Finding]:
    """Stops at the first failure, of which the others would only be echoes."""
    try:
        yield _version(database)
        set_up = _replica_set(database)
        yield set_up
        yield _clock(database)
        yield from _transactions(database)
        if set_up.advice is None:
            yield _write(database)
        yield from look_at_indexes(database)
    except PyMongoError as exc:
        yield _away(exc)


def _transactions(database: Database[Document]) -> Iterator[Finding]:
    """Nothing where the server does not let our user ask."""
    try:
        told = database.client.admin.command({"getParameter": 1, TRANSACTION_LIFETIME: 1})
    except OperationFailure:
        return
    lifetime_s = told[TRANSACTION_LIFETIME]
    if lifetime_s <= TRANSACTION_LIFETIME_S:
        yield ok("mongodb.transactions", f"what is left of them is freed after {lifetime_s} s")
    else:
        yield warn(
            "mongodb.transactions",
            f"a worker that dies in the middle of one keeps a task for up to {lifetime_s} s",
            f"start mongod with --setParameter {TRANSACTION_LIFETIME}={TRANSACTION_LIFETIME_S}",
        )


def _away(error: PyMongoError) -> Finding:
    kind = type(error).__name__
    if isinstance(error, OperationFailure) and error.code in REFUSED:
        return fail("mongodb", "refuses our user or what it may do", "grant it readWrite")
    if isinstance(error, ConnectionFailure | ConfigurationError):
        return fail(
            "mongodb",
            f"does not answer, or has no primary ({kind})",
            "start it, and see that WAYBILL_MONGO_URL names it and its replica set",
        )
    return fail("mongodb", f"does not do what it is asked ({kind})", "see its log")


def _version(database: Database[Document]) -> Finding:
    found = str(database.client.server_info()["version"])
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        return fail("mongodb", f"MongoDB {found} is too old", "use MongoDB 6.0 or newer")
    return ok("mongodb", f"MongoDB {found} answers")


def _replica_set(database: Database[Document]) -> Finding:
    hello: dict[str, Any] = database.command("hello")
    if not hello.get("setName"):
        return fail(
            "mongodb.replica_set",
            "it is no replica set, so it has no transactions",
            "start it with --replSet and run rs.initiate(), one member is enough",
        )
    if not hello.get("isWritablePrimary"):
        return fail(
            "mongodb.replica_set",
            "we are connected to a member that takes no writes",
            "leave directConnection out of WAYBILL_MONGO_URL",
        )
    return ok("mongodb.replica_set", f"a replica set of {len(hello.get('hosts', []))}, a primary")


def _write(database: Database[Document]) -> Finding:
    try:
        PulseStore(database).beat(NAME)
    except PyMongoError as exc:
        return fail(
            "mongodb.write",
            f"no write is acknowledged by the majority ({type(exc).__name__})",
            "bring the other members back, and see that the disk has room",
        )
    return ok("mongodb.write", "a write was acknowledged by the majority")


def _clock(database: Database[Document]) -> Finding:
    before = datetime.now(UTC)
    options = database.codec_options
    theirs: datetime = database.command("hello", codec_options=options)["localTime"]
    return clock("mongodb.clock", theirs, before=before, after=datetime.now(UTC))


def clock(check: str, theirs: datetime, *, before: datetime, after: datetime) -> Finding:
    """How far a server's clock is from ours, which were read before and after its."""
    apart = max(theirs - after, before - theirs, timedelta(0))
    if apart > APART:
        return warn(
            check,
            f"its clock and ours are {apart.total_seconds():.1f} s apart",
            "keep both machines' time by NTP",
        )
    return ok(check, "its clock and ours agree")
