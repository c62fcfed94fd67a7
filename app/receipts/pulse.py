"""Signs of life: of Beat (through the control worker that hears it) and of each worker."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from pymongo import IndexModel, ReturnDocument
from pymongo.database import Database

from app.database import Document, server_time
from app.receipts.transition import NOW

COLLECTION: Final = "pulses"
BEAT: Final = "beat"
# Workers come and go under new names; what was not heard for a day is forgotten.
FORGOTTEN_AFTER: Final = timedelta(days=1)

INDEXES: Final = [IndexModel([("at", 1)], expireAfterSeconds=int(FORGOTTEN_AFTER.total_seconds()))]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who serves one queue: how many workers, and how many tasks they can run at once."""

    workers: int
    slots: int


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits on disk for PostgreSQL, and whether further runs are taken."""

    waiting_bytes: int
    takes_runs: bool


class PulseStore:
    """When each process was heard last, by MongoDB's clock."""

    def __init__(self, database: Database[Document]) -> None:
        self._pulses = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Makes the index that forgets; safe to repeat."""
        self._pulses.create_indexes(INDEXES)

    def beat(self, name: str = BEAT, *, queues: list[str] | None = None, slots: int = 0) -> None:
        """Records a sign of life of `name` now; a worker says which queues it serves, and how
        many tasks it runs at once.
        """
        sets = {"at": NOW, "queues": queues or [], "slots": slots}
        self._pulses.update_one({"_id": name}, [{"$set": sets}], upsert=True)

    def tell_spool(self, name: str, state: SpoolState) -> None:
        """Records what the folder `name` of some machine holds now."""
        sets = {"at": NOW, "spool": asdict(state)}
        self._pulses.update_one({"_id": name}, [{"$set": sets}], upsert=True)

    def spools(self, *, within: timedelta) -> SpoolState | None:
        """What all folders hold together that were told of lately; None: there were none."""
        now = server_time(self._pulses.database)
        rows = list(self._pulses.find({"at": {"$gt": now - within}, "spool": {"$exists": True}}))
        if not rows:
            return None
        return SpoolState(
            waiting_bytes=sum(row["spool"]["waiting_bytes"] for row in rows),
            takes_runs=all(row["spool"]["takes_runs"] for row in rows),
        )

    def steady_for(self, name: str, *, gap: timedelta) -> timedelta:
        """Records a sign of life, and how long `name` has given them without a longer gap."""
        interrupted = {"$gt": [{"$subtract": [NOW, "$at"]}, int(gap.total_seconds() * 1000)]}
        since = {"$cond": [interrupted, NOW, {"$ifNull": ["$since", NOW]}]}
        row = self._pulses.find_one_and_update(
            {"_id": name},
            [{"$set": {"since": since}}, {"$set": {"at": NOW}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert row is not None  # an upsert that returns what it left
        steady: timedelta = row["at"] - row["since"]
        return steady

    def age(self, name: str = BEAT) -> timedelta | None:
        """How long ago `name` was heard, or None: never."""
        row = self._pulses.find_one({"_id": name}, {"at": 1, "now": NOW})
        return None if row is None else row["now"] - row["at"]

    def workers(self, queue: str, *, within: timedelta) -> int:
        """How many workers that serve `queue` were heard lately."""
        now = server_time(self._pulses.database)
        return self._pulses.count_documents({"queues": queue, "at": {"$gt": now - within}})

    def crews(self, *, within: timedelta) -> dict[str, Crew]:
        """The workers that were heard lately, by the queue that they serve."""
        now = server_time(self._pulses.database)
        rows = self._pulses.aggregate(
            [
                {"$match": {"at": {"$gt": now - within}}},
                {"$unwind": "$queues"},
                {
                    "$group": {
                        "_id": "$queues",
                        "workers": {"$sum": 1},
                        "slots": {"$sum": "$slots"},
                    }
                },
            ]
        )
        return {row["_id"]: Crew(row["workers"], row["slots"]) for row in rows}
