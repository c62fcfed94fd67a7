"""The indexes on receipts: each serves a read, a sweep or the retention."""

from datetime import UTC, datetime
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel

from app.receipts.hold import STATE
from app.receipts.status import TaskStatusEnum

_NEWEST_FIRST: Final = (("created_at", DESCENDING), ("_id", DESCENDING))
_OLDEST_FIRST: Final = (("created_at", ASCENDING), ("_id", ASCENDING))
_NAMESPACE: Final = (("namespace_id", ASCENDING), ("parent_task_id", ASCENDING))
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS: Final = (*_NAMESPACE, ("status", ASCENDING))

# What lists run on, see `app.resources.task`. A list of all statuses merges the parts of this
# order that they have, so none needs an index without the status. The type at the end never
# changes, so it costs no write, and rows of other types are passed over without being read.
BY_CREATION: Final = (*_STATUS, *_NEWEST_FIRST, ("task_type", ASCENDING))
BY_TYPE: Final = (*_NAMESPACE, ("task_type", ASCENDING), *_NEWEST_FIRST)
BY_START: Final = (
    *_STATUS,
    ("started_at", DESCENDING),
    ("_id", DESCENDING),
    ("task_type", ASCENDING),
)
BY_END: Final = (*_STATUS, ("ended_at", DESCENDING), ("_id", DESCENDING), ("task_type", ASCENDING))

# The sweeps' order; with the type at its end, open tasks are counted without being read.
BY_STATUS: Final = {"status": 1, "queue": 1, "published_at": 1, "task_type": 1}

INDEXES: Final = [
    *(IndexModel(list(keys)) for keys in (BY_CREATION, BY_TYPE, BY_START, BY_END)),
    IndexModel(list(BY_STATUS.items())),
    # What waits on a queue, and what waits of a namespace, by queue; claims leave them.
    IndexModel(
        [("queue", ASCENDING), ("status", ASCENDING), *_OLDEST_FIRST],
        name="waiting_by_queue",
        partialFilterExpression={"status": TaskStatusEnum.PENDING.value},
    ),
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
    # Of children: no null is greater than the empty text, so a task without a parent is not in it.
    IndexModel(
        [("parent_task_id", ASCENDING), ("status", ASCENDING)],
        name="children_by_status",
        partialFilterExpression={"parent_task_id": {"$gt": ""}},
    ),
    IndexModel(
        [("queue", ASCENDING), ("ended_at", ASCENDING)],
        name="ended_by_queue",
        partialFilterExpression={"ended_at": {"$gt": _EVER}},
    ),
    IndexModel(
        [("expire_at", ASCENDING)],
        name="expired",
        expireAfterSeconds=0,
        partialFilterExpression={"expire_at": {"$gt": _EVER}},
    ),
    # What others are to be told of: nothing, as a rule. While nobody asks, the rest of the keys
    # tells whom it concerns without a read of the receipts.
    IndexModel(
        [("untold_since", ASCENDING), ("task_type", ASCENDING), ("callback_url", ASCENDING)],
        partialFilterExpression={"untold_since": {"$exists": True}},
    ),
]
