"""The indexes on receipts: each serves a read, a sweep or the retention."""

from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel

_NEWEST_FIRST: Final = (("created_at", DESCENDING), ("_id", DESCENDING))
_OLDEST_FIRST: Final = (("created_at", ASCENDING), ("_id", ASCENDING))
_NAMESPACE: Final = (("namespace_id", ASCENDING), ("parent_task_id", ASCENDING))

INDEXES: Final = [
    IndexModel([*_NAMESPACE, *_NEWEST_FIRST]),
    IndexModel([*_NAMESPACE, ("status", ASCENDING), *_NEWEST_FIRST]),
    IndexModel([*_NAMESPACE, ("task_type", ASCENDING), *_NEWEST_FIRST]),
    IndexModel([*_NAMESPACE, ("started_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([*_NAMESPACE, ("ended_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("status", ASCENDING), ("queue", ASCENDING), ("published_at", 1)]),
    IndexModel([("queue", ASCENDING), ("status", ASCENDING), *_OLDEST_FIRST]),
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
