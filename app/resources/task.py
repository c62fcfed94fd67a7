"""Tasks as users select them: the fields that a list or a bulk call may filter by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from pymongo import ASCENDING
from pymongo.errors import ExecutionTimeout

from app.database import AT_ONE_MOMENT, Document
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, condition_of, count
from app.query.route import Route, equal_values
from app.receipts.index import BY_CREATION, BY_END, BY_START, BY_TYPE
from app.receipts.receipt import JsonObject
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import ReceiptStore

_ORDERS: Final = {"created_at": BY_CREATION, "started_at": BY_START, "ended_at": BY_END}
_BY_ID: Final = (("_id", ASCENDING),)
_ALL: Final = sorted(status.value for status in TaskStatusEnum)
# MongoDB merges the ordered parts of an index for as many values as this, twice over.
_MERGED: Final = 100


def route(condition: Document, order: str) -> Route:
    """The index that has what is asked in the order that is asked.

    The planner would sort in memory where that reads less at first, and a page's time would then
    grow with the collection. By creation there are two ways: most tasks are completed, so the
    type tells more than that status, and less than any other. Named tasks are few, and sorted.
    """
    if equal_values(condition, "_id") is not None:
        return Route(_BY_ID)
    statuses, types = equal_values(condition, "status"), equal_values(condition, "task_type")
    is_wide = statuses is None or TaskStatusEnum.COMPLETED in statuses
    parts = _parts(condition, order)
    if order == "created_at" and types is not None and len(types) <= _MERGED and is_wide:
        return Route(BY_TYPE, parts=parts)
    also = {} if statuses is not None else {"status": {"$in": _ALL}}
    return Route(_ORDERS[order], also, parts)


def _parts(condition: Document, order: str) -> tuple[Document, ...]:
    """Moments asked for one by one, each by itself: MongoDB would not merge but sort them.

    It does so where they are more than can be asked after quickly.
    """
    asked = equal_values(condition, order) or frozenset()
    if not 1 < len(asked) <= _MERGED:
        return ()
    moments = sorted({_stored(each) for each in asked if isinstance(each, datetime)})
    nulls = [None] if None in asked else []
    return tuple({order: {"$eq": each}} for each in [*nulls, *moments])


def _stored(moment: datetime) -> datetime:
    """As MongoDB keeps it: to the millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


FIELDS: Final = FieldSet(
    fields={
        "task_id": Field("_id", nullable=False),
        "task_type": Field("task_type", nullable=False),
        "status": Field("status", nullable=False, choices=tuple(TaskStatusEnum)),
        "namespace_id": Field("namespace_id", nullable=False),
        "error_message": Field("error_message"),
        "attempt": Field("attempt", Kind.NUMBER, nullable=False),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "updated_at": Field("updated_at", Kind.DATETIME, nullable=False),
        "started_at": Field("started_at", Kind.DATETIME, sortable=True),
        "ended_at": Field("ended_at", Kind.DATETIME, sortable=True),
        "inputs": Field("inputs", Kind.ANY),
    },
    prefixes={"additional_data": "additional_data"},
    searchable=("task_type", "error_message"),
    narrowing=("status", "task_type", "created_at", "started_at", "ended_at"),
    route=route,
)

BULK_KILL_TYPE: Final = "api_tasks_kill"


@dataclass(frozen=True, slots=True)
class TaskSelection:
    """Which tasks a bulk call means: all of its parts must hold; a None asks nothing."""

    status: TaskStatusEnum | None
    task_type: str | None
    filters: object

    @classmethod
    def from_json(cls, stored: object) -> Self:
        """What `to_json` made, as a task's input has it."""
        assert isinstance(stored, dict)
        status = stored["status"]
        return cls(
            status=None if status is None else TaskStatusEnum(str(status)),
            task_type=None if stored["task_type"] is None else str(stored["task_type"]),
            filters=stored["filters"],
        )

    def to_json(self) -> JsonObject:
        return {
            "status": self.status.value if self.status else None,
            "task_type": self.task_type,
            "filters": self.filters,
        }

    def condition(self, scope: Document) -> Document:
        """The selection within `scope`; `InvalidError` for what does not fit the fields."""
        also = {"status": self.status, "task_type": self.task_type}
        named = {name: value for name, value in also.items() if value is not None}
        return condition_of(scope, ListQuery(filters=self.filters, also=named), FIELDS)


class OpenTasks:
    """The selected tasks of a namespace that are open, and that nobody has asked to end yet.

    Those of a moment: what is created later is not among them, nor is the asking task itself.
    """

    def __init__(
        self,
        receipts: ReceiptStore,
        selection: TaskSelection,
        *,
        namespace_id: str,
        at: datetime,
        asking: str,
    ) -> None:
        self._tasks = receipts.tasks.with_options(read_concern=AT_ONE_MOMENT)
        scope: Document = {
            "namespace_id": namespace_id,
            "parent_task_id": None,
            "status": {"$nin": sorted(TERMINAL)},
            "cancellation": None,
            "created_at": {"$lte": at},
            "_id": {"$ne": asking},
        }
        self._condition = selection.condition(scope)

    def count(self) -> int | None:
        """How many there are now, or None where counting them takes too long."""
        try:
            return count(self._tasks, self._condition)
        except ExecutionTimeout:
            return None

    def some(self, limit: int) -> list[str]:
        """Ids of at most `limit` of them, in no order; empty when none is left."""
        found = self._tasks.find(self._condition, {"_id": 1}, limit=limit)
        return [row["_id"] for row in found]
