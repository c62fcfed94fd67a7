"""The collection `deliveries`: begun and ended in groups, for single acknowledged writes are dear.

Whoever has the turn of a mailbox begins its rows under the turn's token, and a row is ended by that
token and the number of its attempt: an attempt that was taken for lost ends nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from pymongo import ASCENDING, IndexModel, UpdateMany, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.database import Document, is_only_duplicates
from app.deliveries.attempt import MAX_ATTEMPTS, Result, begun, completion, loss
from app.deliveries.delivery import ENDED, Delivery, Stage
from app.deliveries.mailbox import Turn
from app.deliveries.retry import Verdict

COLLECTION: Final = "deliveries"

WITHOUT_LOG: Final = {"attempts": 0}
_ORDER: Final = [("due_at", ASCENDING), ("sequence", ASCENDING)]
GIVEN_UP: Final = "Each attempt that its log has room for was lost."

INDEXES: Final = [
    IndexModel([("mailbox_id", ASCENDING), ("status", ASCENDING), *_ORDER]),
    IndexModel([("expire_at", ASCENDING)], expireAfterSeconds=0),
]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the attempt that `delivery` was begun for has ended, and what follows."""

    delivery: Delivery
    result: Result
    verdict: Verdict
    at: datetime


class DeliveryStore:
    """What the expansion and dispatchers do with deliveries."""

    def __init__(self, database: Database[Document], *, retention: timedelta) -> None:
        """A delivery that has ended is kept for `retention`, with its log."""
        self._deliveries = database[COLLECTION]
        self._retention = retention

    def ensure_indexes(self) -> None:
        """Makes what is due findable and what is old forgotten; safe to repeat."""
        self._deliveries.create_indexes(INDEXES)

    def add(self, documents: Sequence[Document]) -> None:
        """Stores new deliveries; those that are there already stay as they are."""
        if not documents:
            return
        try:
            self._deliveries.insert_many(documents, ordered=False)
        except BulkWriteError as exc:
            if not is_only_duplicates(exc):
                raise

    def due(self, mailbox_id: str, *, now: datetime, limit: int) -> list[Delivery]:
        """What is due in a mailbox, in the order in which it is to be sent."""
        query = {**_pending(mailbox_id), "due_at": {"$lte": now}}
        rows = self._deliveries.find(query, WITHOUT_LOG, sort=_ORDER, limit=limit)
        return [Delivery.from_document(row) for row in rows]

    def next_due(self, mailbox_id: str, *, lost_by: datetime) -> datetime | None:
        """When somebody has to look at a mailbox again, as its turn with nothing under way ends.

        That is when the first that waits is due. What is being sent began in a turn that was lost:
        it may come to wait yet, or stay as it is, so somebody looks at `lost_by` at the latest.
        """
        sending = {"mailbox_id": mailbox_id, "status": Stage.SENDING.value}
        # At one moment: a row goes from the one stage to the other and back meanwhile.
        with self._deliveries.database.client.start_session(snapshot=True) as moment:
            find = partial(self._deliveries.find_one, sort=_ORDER, session=moment)
            waiting = find(_pending(mailbox_id), {"due_at": 1})
            others = find(sending, {"_id": 1})
        found = [] if waiting is None else [waiting["due_at"]]
        return min(found if others is None else [*found, lost_by], default=None)

    def begin(self, deliveries: Sequence[Delivery], turn: Turn, *, at: datetime) -> list[Delivery]:
        """Writes an attempt for each, as a rule in one round trip, and returns those that got one.

        The others were changed since they were read, and need to be read again.
        """
        groups: dict[int, list[str]] = defaultdict(list)
        for each in deliveries:
            groups[each.attempt_count].append(each.delivery_id)
        writes = [_beginning(ids, count, turn, at) for count, ids in groups.items()]
        if not writes:
            return []
        result = self._deliveries.bulk_write(writes, ordered=False)
        sending = [
            replace(each, status=Stage.SENDING, attempt_count=each.attempt_count + 1)
            for each in deliveries
        ]
        if result.modified_count == len(sending):
            return sending
        ids = [each.delivery_id for each in sending]
        query = {"_id": {"$in": ids}, "status": Stage.SENDING.value, "token": turn.token}
        rows = self._deliveries.find(query, {"attempt_count": 1})
        found = {(row["_id"], row["attempt_count"]) for row in rows}
        return [each for each in sending if (each.delivery_id, each.attempt_count) in found]

    def end(self, endings: Sequence[Ending], turn: Turn) -> None:
        """Completes the attempts in one round trip. Safe to repeat."""
        if endings:
            writes = [self._ending(each, turn) for each in endings]
            self._deliveries.bulk_write(writes, ordered=False)

    def recover(self, mailbox_ids: Collection[str], turn: Turn, *, at: datetime) -> int:
        """Ends attempts of dispatchers that lost their turns, as unknown; counts them.

        Their rows are due as they were, so they come before what was behind them.
        """
        if not mailbox_ids:
            return 0
        query = {
            "mailbox_id": {"$in": list(mailbox_ids)},
            "status": Stage.SENDING.value,
            "token": {"$ne": turn.token},
        }
        rows = self._deliveries.find(query, {"token": 1, "attempt_count": 1})
        writes = [self._recovery(row, at) for row in rows]
        return self._deliveries.bulk_write(writes, ordered=False).modified_count if writes else 0

    def skip(self, mailbox_id: str, *, error: str, at: datetime) -> int:
        """Ends all that waits in a mailbox whose receiver is closed or gone; counts it."""
        ended = self._ended(Stage.SKIPPED, at)
        update = {"$set": {"error": error, "updated_at": at, **ended}}
        return self._deliveries.update_many(_pending(mailbox_id), update).modified_count

    def _ending(self, ending: Ending, turn: Turn) -> UpdateOne:
        delivery, verdict, at = ending.delivery, ending.verdict, ending.at
        sets: Document = {
            "error": ending.result.error,
            "token": None,
            "updated_at": at,
            "round_attempts": delivery.round_attempts + 1,
            **_logged(delivery.attempt_count, completion(ending.result, at=at)),
        }
        if verdict.status in ENDED:
            sets |= self._ended(verdict.status, at)
        else:
            sets |= {"status": verdict.status.value, "due_at": at + (verdict.delay or timedelta())}
        guard = _attempt(delivery.delivery_id, turn.token, delivery.attempt_count)
        return UpdateOne(guard, {"$set": sets})

    def _recovery(self, row: Document, at: datetime) -> UpdateOne:
        count = row["attempt_count"]
        sets: Document = {"token": None, "updated_at": at, **_logged(count, loss(at=at))}
        if count < MAX_ATTEMPTS:
            sets["status"] = Stage.PENDING.value
        else:
            sets |= {"error": GIVEN_UP, **self._ended(Stage.EXHAUSTED, at)}
        return UpdateOne(_attempt(row["_id"], row["token"], count), {"$set": sets})

    def _ended(self, status: Stage, at: datetime) -> Document:
        return {"status": status.value, "ended_at": at, "expire_at": at + self._retention}


def _pending(mailbox_id: str) -> Document:
    return {"mailbox_id": mailbox_id, "status": Stage.PENDING.value}


def _beginning(ids: list[str], attempt_count: int, turn: Turn, at: datetime) -> UpdateMany:
    """Rows of one group have had as many attempts: the new one's number is the same."""
    guard = {
        "_id": {"$in": ids},
        "status": Stage.PENDING.value,
        "attempt_count": attempt_count,
    }
    number = attempt_count + 1
    update = {
        "$set": {"status": Stage.SENDING.value, "token": turn.token, "updated_at": at},
        "$inc": {"attempt_count": 1},
        "$push": {"attempts": begun(number, worker=turn.worker, at=at)},
    }
    return UpdateMany(guard, update)


def _attempt(delivery_id: str, token: str, number: int) -> Document:
    """The row, while it is at this very attempt."""
    return {
        "_id": delivery_id,
        "status": Stage.SENDING.value,
        "token": token,
        "attempt_count": number,
    }


def _logged(number: int, entry: Document) -> Document:
    """The fields of an attempt's entry, at its place in the log."""
    return {f"attempts.{number - 1}.{name}": value for name, value in entry.items()}
