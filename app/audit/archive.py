"""What MongoDB holds, read in pages for a verification: nothing is written, little is held."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from pymongo.database import Database

from app.audit.effect import EffectKind
from app.audit.family import Children
from app.database import AT_ONE_MOMENT, Document, server_time
from app.receipts.hold import STATE, Admission
from app.receipts.quota import COLLECTION as NAMESPACES
from app.receipts.status import TERMINAL_VALUES, TaskStatusEnum
from app.receipts.write import COLLECTION

ROWS_PER_READ: Final = 1_000
OPEN: Final = [TaskStatusEnum.PENDING.value, TaskStatusEnum.PROCESSING.value]

# Not what may be large: inputs, outputs, checkpoints, reasons and tracebacks.
_RECEIPT: Final = dict.fromkeys(
    (
        *("namespace_id", "queue", "status", "created_at", "updated_at", "ended_at", "expire_at"),
        *("attempt", "max_attempts", "returns", "version", "published_at", "not_before"),
        *("parent_task_id", "ordinal", "units", "fan_out", "lease", "last_token"),
        *("cancellation", "suspension", "admission", "told", "untold_since"),
        *(f"history.{name}" for name in ("seq", "from", "to", "at", "attempt")),
    ),
    1,
)

_CHILDREN: Final[Document] = {
    "_id": "$parent_task_id",
    "count": {"$sum": 1},
    "open_": {"$sum": {"$cond": [{"$in": ["$status", TERMINAL_VALUES]}, 0, 1]}},
    "units": {"$sum": "$units"},
    "first_ordinal": {"$min": "$ordinal"},
    "last_ordinal": {"$max": "$ordinal"},
    "last_ended_at": {"$max": "$ended_at"},
}


class Archive:
    """The receipts and effects of one database."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._tasks = database[COLLECTION]
        self._namespaces = database[NAMESPACES]

    def now(self) -> datetime:
        """MongoDB's clock."""
        return server_time(self._database)

    def pages(self) -> Iterator[list[Document]]:
        """All receipts by id, each once; each page is as new as the call that asks for it."""
        after: Document = {}
        while page := self._find(after):
            yield page
            after = {"_id": {"$gt": page[-1]["_id"]}}

    def receipts(self, task_ids: Sequence[str]) -> dict[str, Document]:
        """Those of the receipts that there are, by id; a thousand ids at most."""
        return {row["_id"]: row for row in self._find({"_id": {"$in": list(task_ids)}})}

    def children(self, parent_ids: Sequence[str]) -> dict[str, Children]:
        """The children of each parent that has any, as they are at one moment."""
        if not parent_ids:
            return {}
        among = {"parent_task_id": {"$in": list(parent_ids)}}
        tasks = self._tasks.with_options(read_concern=AT_ONE_MOMENT)
        rows = tasks.aggregate([{"$match": among}, {"$group": _CHILDREN}])
        return {row.pop("_id"): Children(**row) for row in rows}

    def shared_tokens(self) -> Iterator[tuple[str, str]]:
        """Two tasks for each token that holds more than one."""
        held = {"lease.expires_at": {"$exists": True}}
        both = {"_id": "$lease.token", "one": {"$min": "$_id"}, "other": {"$max": "$_id"}}
        # A task whose lease is renewed meanwhile may be seen twice: that is not two tasks.
        differ = {"$expr": {"$ne": ["$one", "$other"]}}
        stages: list[Document] = [{"$match": held}, {"$group": both}, {"$match": differ}]
        for row in self._tasks.aggregate(stages, allowDiskUse=True):
            yield row["one"], row["other"]

    def doors(self, namespace_ids: Sequence[str]) -> dict[str, datetime]:
        """When somebody last looked for room in each namespace's quota, where anybody did."""
        if not namespace_ids:
            return {}
        asked = {"_id": {"$in": list(namespace_ids)}, "door_at": {"$exists": True}}
        return {row["_id"]: row["door_at"] for row in self._namespaces.find(asked, {"door_at": 1})}

    def overfull(self) -> Iterator[tuple[str, int, int]]:
        """Namespaces where more tasks were let in than their quotas have room for: how many
        have not ended, of those let in since the quota was last changed, and the limit.
        """
        for row in self._namespaces.find({"quotas.max_running": {"$ne": None}}, {"_id": 1}):
            with self._database.client.start_session(snapshot=True) as moment:
                namespace = self._namespaces.find_one(row, {"quotas": 1}, session=moment)
                if namespace is None or namespace["quotas"]["max_running"] is None:
                    continue
                let_in = {
                    STATE: Admission.ADMITTED.value,
                    "status": {"$in": OPEN},
                    "namespace_id": namespace["_id"],
                    "admission.at": {"$gt": namespace["quotas"]["changed_at"]},
                }
                inside = self._tasks.count_documents(let_in, session=moment)
            if inside > (limit := namespace["quotas"]["max_running"]):
                yield namespace["_id"], inside, limit

    def effects(self, kind: EffectKind) -> Iterator[list[Document]]:
        """All effects of a kind in pages, those of one key next to each other."""
        fields = dict.fromkeys((*kind.key, *kind.apart, "task_id", "attempt", kind.written_at), 1)
        rows = self._database[kind.collection].find(
            {}, fields, sort=list(kind.order), batch_size=ROWS_PER_READ, allow_disk_use=True
        )
        return iter(lambda: list(islice(rows, ROWS_PER_READ)), [])

    def has_both(self, kind: EffectKind, one: Document, other: Document) -> bool:
        """Whether both effects are there now."""
        query = {"_id": {"$in": [one["_id"], other["_id"]]}}
        return self._database[kind.collection].count_documents(query) == len(query["_id"]["$in"])

    def _find(self, query: Document) -> list[Document]:
        return list(self._tasks.find(query, _RECEIPT, sort=[("_id", 1)], limit=ROWS_PER_READ))
