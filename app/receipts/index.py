"""The indexes on receipts: each serves a read, a sweep or the retention."""

from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel

from app.receipts.hold import STATE
from app.receipts.status import TaskStatusEnum

_NEWEST_FIRST: Final = (("created_at", DESCENDING), ("_id", DESCENDING))
_OLDEST_FIRST: Final = (("created_at", ASCENDING), ("_id", ASCENDING))
_NAMESPACE: Final = (("namespace_id", ASCENDING), ("parent_task_id", ASCENDING))

# The sweeps' order; with the type at its end, open tasks are counted without being read.
BY_STATUS: Final = {"status": 1, "queue": 1, "published_at": 1, "task_type": 1}

INDEXES: Final = [
    IndexModel([*_NAMESPACE, *_NEWEST_FIRST]),
    IndexModel([*_NAMESPACE, ("status", ASCENDING), *_NEWEST_FIRST]),
    IndexModel([*_NAMESPACE, ("task_type", ASCENDING), *_NEWEST_FIRST]),
    IndexModel([*_NAMESPACE, ("started_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([*_NAMESPACE, ("ended_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel(list(BY_STATUS.items())),
    IndexModel([("queue", ASCENDING), ("status", ASCENDING), *_OLDEST_FIRST]),
    # What waits of a namespace, by queue; claims leave it.
    IndexModel(
        [("namespace_id", ASCENDING), ("queue", ASCENDING), ("status", ASCENDING)],
        partialFilterExpression={"status": TaskStatusEnum.PENDING.value},
    ),
    # What quotas count: nothing, where there are none.
    IndexModel(
        [(STATE, ASCENDING), ("status", ASCENDING), ("namespace_id", ASCENDING), *_OLDEST_FIRST],
        partialFilterExpression={STATE: {"$exists": True}},
    ),
    IndexModel(
        [("status", ASCENDING), ("cancellation.requested_at", ASCENDING)],
        partialFilterExpression={"cancellation.requested_at": {"$exists": True}},
    ),
    IndexModel(
        [("status", ASCENDING), ("suspension.requested_at", ASCENDING)],
        partialFilterExpression={"suspension.requested_at": {"$exists": True}},
    ),
    IndexModel(
        [("lease.expires_at", ASCENDING)],
        partialFilterExpression={"lease.expires_at": {"$exists": True}},
    ),
    IndexModel(
        [("parent_task_id", ASCENDING), ("ordinal", ASCENDING)],
        unique=True,
        partialFilterExpression={"ordinal": {"$exists": True}},
    ),
    IndexModel([("parent_task_id", ASCENDING), ("status", ASCENDING)]),
    IndexModel([("queue", ASCENDING), ("ended_at", ASCENDING)]),
    IndexModel([("expire_at", ASCENDING)], expireAfterSeconds=0),
]
