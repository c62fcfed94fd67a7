"""The task types that workers serve, as they said when they started.

The API never imports a job: it knows a type by the registration of the worker that runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pymongo import IndexModel, UpdateOne
from pymongo.database import Database

from app.database import Document

COLLECTION: Final = "job_types"
# Workers say what they serve once an hour.
FORGOTTEN_AFTER: Final = timedelta(days=1)

INDEXES: Final = [
    IndexModel([("registered_at", 1)], expireAfterSeconds=int(FORGOTTEN_AFTER.total_seconds()))
]


@dataclass(frozen=True, slots=True)
class JobType:
    """One kind of task; only `submittable` ones may be named in a submit call.

    One that is `suspendable` starts from checkpoints, so it can be paused while it runs.
    """

    name: str
    queue: str
    max_attempts: int
    submittable: bool
    suspendable: bool


class JobTypeStore:
    """Registrations by workers, read by the API."""

    def __init__(self, database: Database[Document]) -> None:
        self._types = database[COLLECTION]

    def register(self, types: Sequence[JobType]) -> None:
        """Stores what a worker serves; safe to repeat."""
        writes = [
            UpdateOne(
                {"_id": kind.name},
                {
                    "$set": {
                        "queue": kind.queue,
                        "max_attempts": kind.max_attempts,
                        "submittable": kind.submittable,
                        "suspendable": kind.suspendable,
                    },
                    "$currentDate": {"registered_at": True},
                },
                upsert=True,
            )
            for kind in types
        ]
        if writes:
            self._types.bulk_write(writes, ordered=False)

    def ensure_indexes(self) -> None:
        """Makes the index that forgets types which no worker serves any more; safe to repeat."""
        self._types.create_indexes(INDEXES)

    def all(self) -> dict[str, JobType]:
        """Every registered type by its name."""
        return {
            row["_id"]: JobType(
                name=row["_id"],
                queue=row["queue"],
                max_attempts=row["max_attempts"],
                submittable=row["submittable"],
                suspendable=row.get("suspendable", False),
            )
            for row in self._types.find()
        }
