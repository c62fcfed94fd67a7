"""Executions of clusters: what each was told, and what it found.

What an execution writes lies under its own id, and is shown once its task has completed. What one
wrote that ended otherwise is removed by the sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.clusters.definition import Definition
from app.clusters.finding import FindingStore
from app.clusters.result import Result
from app.database import Document
from app.errors import NotFoundError
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.receipt import JsonObject
from app.receipts.status import TaskStatusEnum
from app.receipts.store import ReceiptStore
from app.resources.settlement import having, settle

COLLECTION: Final = "cluster_runs"

FIELDS: Final = FieldSet(
    {
        "run_id": Field("_id", nullable=False),
        "task_id": Field("task_id", nullable=False),
        "num_clusters": Field("result.num_clusters", Kind.NUMBER),
        "num_points": Field("result.num_points", Kind.NUMBER),
        "metrics.silhouette_score": Field("result.metrics.silhouette_score", Kind.NUMBER),
        "created_at": Field("created_at", Kind.DATETIME, sortable=True, nullable=False),
        "completed_at": Field("completed_at", Kind.DATETIME),
    },
)

_CLUSTER: Final = ("cluster_id", ASCENDING)
INDEXES: Final = [
    IndexModel([_CLUSTER, ("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("outcome", ASCENDING), ("task_id", ASCENDING)]),
    IndexModel([("is_litter", ASCENDING), ("status", ASCENDING)]),
]

TIDIED_RUNS: Final = 20  # of one sweep, and rows of each: other sweeps wait for it
TIDIED_ROWS: Final = 2_000

# As settled; while it is open, a run's own status says PENDING.
ENDED: Final = tuple(each.value for each in TaskStatusEnum if each is not TaskStatusEnum.PENDING)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution. `result` is None until its task has completed; `stage` is what it does."""

    run_id: str
    namespace_id: str
    cluster_id: str
    task_id: str
    definition: Definition
    status: TaskStatusEnum
    outcome: JsonObject | None
    stage: str | None
    result: Result | None
    created_at: datetime
    completed_at: datetime | None

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored document."""
        result = stored["result"]
        return cls(
            run_id=stored["_id"],
            namespace_id=stored["namespace_id"],
            cluster_id=stored["cluster_id"],
            task_id=stored["task_id"],
            definition=Definition.from_document(stored["definition"]),
            status=TaskStatusEnum(stored["status"]),
            outcome=stored["outcome"],
            stage=stored["stage"],
            result=None if result is None else Result.from_document(result),
            created_at=stored["created_at"],
            completed_at=stored["completed_at"],
        )


class RunStore:
    """The collection `cluster_runs`."""

    def __init__(self, database: Database[Document], receipts: ReceiptStore) -> None:
        self._runs = database[COLLECTION]
        self._receipts = receipts
        self._findings = FindingStore(database)

    def ensure_indexes(self) -> None:
        """Makes the indexes; safe to repeat."""
        self._runs.create_indexes(INDEXES)

    def insert(self, run: Run, session: ClientSession) -> None:
        """Stores a run that has not begun."""
        stored: Document = {
            "_id": run.run_id,
            "namespace_id": run.namespace_id,
            "cluster_id": run.cluster_id,
            "task_id": run.task_id,
            "definition": run.definition.to_json(),
            "status": run.status.value,
            "outcome": None,
            "stage": None,
            "result": None,
            "is_litter": True,
            "is_gone": False,
            "created_at": run.created_at,
            "completed_at": None,
        }
        self._runs.insert_one(stored, session=session)

    def get(self, run_id: str, *, namespace_id: str, cluster_id: str | None = None) -> Run:
        """The run, or `NotFoundError`."""
        scope: Document = {"_id": run_id, "namespace_id": namespace_id, "is_gone": False}
        if cluster_id is not None:
            scope["cluster_id"] = cluster_id
        stored = self._runs.find_one(scope)
        if stored is None:
            raise NotFoundError(f"There is no execution '{run_id[:128]}' of this cluster")
        return Run.from_document(stored)

    def find(self, run_id: str, session: ClientSession | None = None) -> Run | None:
        """The run with this id, or None."""
        stored = self._runs.find_one({"_id": run_id}, session=session)
        return None if stored is None else Run.from_document(stored)

    def find_many(self, run_ids: Sequence[str]) -> dict[str, Run]:
        """Those of the runs that there are, by id."""
        found = self._runs.find({"_id": {"$in": list(run_ids)}})
        return {row["_id"]: Run.from_document(row) for row in found}

    def list(
        self, cluster_id: str, query: ListQuery, *, status: TaskStatusEnum | None = None
    ) -> Page[Run]:
        """A page of the cluster's runs; with `status`, of those that have it now."""
        scope = {"cluster_id": cluster_id}
        if status is not None:
            query = replace(query, now=having(status, self._runs, scope, self._receipts))
        return list_page(self._runs, scope, query, FIELDS).map(Run.from_document)

    def open_task_ids(self, cluster_id: str) -> Sequence[str]:
        """The tasks of the cluster's runs that have not ended."""
        query = {"cluster_id": cluster_id, "outcome": None}
        task_ids = [row["task_id"] for row in self._runs.find(query, {"task_id": 1})]
        return [one.task_id for one in self._receipts.find_many(task_ids) if not one.is_terminal]

    def note_stage(self, run_id: str, stage: str, session: ClientSession) -> None:
        """Records what the run does."""
        self._runs.update_one({"_id": run_id}, {"$set": {"stage": stage}}, session=session)

    def finish(
        self,
        run_id: str,
        result: Result,
        at: datetime,
        session: ClientSession | None = None,
    ) -> None:
        """Shows what the run found; to be stored with the end of its task."""
        found = {"result": result.to_json(), "stage": None, "is_litter": False, "completed_at": at}
        self._runs.update_one({"_id": run_id}, {"$set": found}, session=session)

    def give_up(self, cluster_id: str, session: ClientSession) -> None:
        """Leaves all runs of a deleted cluster to the sweep; nobody sees them from now on."""
        gone = {"is_litter": True, "is_gone": True}
        self._runs.update_many({"cluster_id": cluster_id}, {"$set": gone}, session=session)

    def settle(self) -> int:
        """Copies the ends of tasks to their runs, and counts them; safe to repeat.

        Then removes a few thousand rows of runs that ended otherwise than completed, and of
        deleted clusters.
        """
        settled = settle(self._runs, self._receipts)
        litter = {"is_litter": True, "status": {"$in": ENDED}}
        for row in list(self._runs.find(litter, {"_id": 1}, limit=TIDIED_RUNS)):
            if not self._findings.clear(row["_id"], TIDIED_ROWS):
                self._runs.delete_one({"_id": row["_id"], "is_gone": True})
                self._runs.update_one({"_id": row["_id"]}, {"$set": {"is_litter": False}})
        return settled
