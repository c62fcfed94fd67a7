"""Namespaces to migrate, runs of migrations in this process, and what is there afterwards."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import numpy as np
from pymongo.database import Database

from app.database import Document
from app.migrations.idmap import SOURCE, IdMap
from app.migrations.migration import RUN_TYPE
from app.receipts.job_type import JobType
from app.receipts.ledger import Ledger
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.write import Effect
from app.resources.extraction import ExtractionStore, NewDocument, Origin
from app.settings import Settings
from tests.integration.receipts import create, holder
from tests.integration.resources import Json, made, thing
from workers.attempt import Attempt, Completion
from workers.jobs.migration import carry_out, take_back
from workers.process import WorkerProcess

URL: Final = "/v1/namespaces/migrations"
KINDS: Final = ("buckets", "collections", "taxonomies", "clusters", "objects", "documents")
# What two migrations of one source differ in: times, and who wrote a row.
BY_DESIGN: Final = frozenset(
    {"created_at", "updated_at", "task_id", "attempt", "batch_id", "assigned_at", SOURCE}
)
SCHEMA: Final = {
    "properties": {"body": {"type": "text", "required": True}, "price": {"type": "float"}}
}


class Source:
    """A namespace with a bucket of texts, a collection of them, and its documents."""

    def __init__(self, client: httpx.Client, database: Database[Document], ledger: Ledger) -> None:
        self.client, self.database, self.ledger = client, database, ledger
        self.name = f"source-{database.name[-8:]}"
        made_now = made(client.post("/v1/namespaces", json={"namespace_name": self.name}))
        self.namespace_id: str = made_now["namespace_id"]
        self.headers = {"X-Namespace": self.namespace_id}
        self.bucket: Json = self.post(
            "/v1/buckets", {"bucket_name": "texts", "bucket_schema": SCHEMA, "unique_key": "price"}
        )
        self.collection: Json = self.post("/v1/collections", collection_body(self.bucket, "text"))

    def post(self, path: str, body: Json) -> Json:
        return made(self.client.post(path, json=body, headers=self.headers))

    def add(self, *texts: str, first_price: float = 0.0) -> list[str]:
        """Objects, without their documents."""
        path = f"/v1/buckets/{self.bucket['bucket_id']}/objects/batch"
        objects = [thing(text, price=first_price + n) for n, text in enumerate(texts)]
        return [one["object_id"] for one in self.post(path, {"objects": objects})["succeeded"]]

    def remove(self, object_id: str) -> None:
        path = f"/v1/buckets/{self.bucket['bucket_id']}/objects/{object_id}"
        made(self.client.delete(path, headers=self.headers))

    def process(self, object_ids: list[str], *, price: float = 1.0) -> None:
        """The documents of objects, as an attempt of a batch writes them."""
        task = create(self.ledger, namespace_id=self.namespace_id)
        origin = Origin(self.namespace_id, self.bucket["bucket_id"], "btch_x", task.task_id, 1)
        collection_id = self.collection["collection_id"]
        documents = [
            NewDocument(
                collection_id, each, "text", np.full(4, n, np.float32), {"price": price}, {}
            )
            for n, each in enumerate(object_ids)
        ]
        ExtractionStore(self.database).write(origin, object_ids, documents, [])

    def rows(self) -> Json:
        """Every row of the namespace, to the last field."""
        scope = {"namespace_id": self.namespace_id}
        return {name: list(self.database[name].find(scope).sort("_id", 1)) for name in KINDS}


def collection_body(bucket: Json, extractor: str, **more: Any) -> Json:
    return {
        "collection_name": "text-vectors",
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {
            "feature_extractor_name": extractor,
            "parameters": {},
            "input_mappings": {"text": "body"},
        },
        **more,
    }


def config(source: str, target: str, kind: str = "copy", **more: Any) -> Json:
    place = "target_namespace_id" if kind == "extend" else "target_namespace_name"
    return {"migration_type": kind, "source_namespace_id": source, place: target, **more}


def started(client: httpx.Client, config: Json) -> Json:
    """A migration that waits for a worker, writing one row a step unless it says otherwise."""
    stepping = {"batch_options": {"batch_size": 1}, **config}
    body = {"config": stepping, "start_immediately": True}
    return made(client.post(URL, json=body))


class Watched(Attempt):
    """An attempt at whose steps something happens: `at[3]()` after the third is stored."""

    def __init__(
        self, receipt: Receipt, holder: Holder, ledger: Ledger, at: Mapping[int, Callable[[], Any]]
    ) -> None:
        super().__init__(receipt, holder, ledger, suspendable=True)
        self.steps = 0
        self._at = at

    def commit(
        self,
        effect: Effect,
        done: int,
        total: int | None = None,
        *,
        errors: int = 0,
        checkpoint: object = None,
    ) -> None:
        super().commit(effect, done, total, errors=errors, checkpoint=checkpoint)
        self.steps += 1
        self._at.get(self.steps, lambda: None)()


class Worker:
    """Runs the tasks of migrations in this process, one attempt at a time."""

    def __init__(self, settings: Settings, database: Database[Document], ledger: Ledger) -> None:
        self.process = WorkerProcess.of(settings, database, ledger)
        self.ledger = ledger
        kind = JobType(RUN_TYPE, "jobs", 3, submittable=False, suspendable=True)
        ledger.job_types.register([kind])

    def attempt(self, task_id: str, at: Mapping[int, Callable[[], Any]] = {}) -> Watched:
        """The next attempt of the task, claimed."""
        by = holder()
        receipt = self.ledger.receipts.claim(task_id, by)
        assert receipt is not None
        return Watched(receipt, by, self.ledger, at)

    def run(self, task_id: str, at: Mapping[int, Callable[[], Any]] = {}) -> Receipt:
        """The task to its end; what its code raises, this raises."""
        attempt = self.attempt(task_id, at)
        return end(attempt, carry_out(self.process, attempt))

    def roll_back(self, task_id: str) -> Receipt:
        attempt = self.attempt(task_id)
        return end(attempt, take_back(self.process, attempt))

    def fail(self, attempt: Attempt, reason: str = "it failed") -> None:
        """The task has FAILED."""
        assert attempt.end(Ending(TaskStatusEnum.FAILED, error_message=reason)) is not None


def end(attempt: Attempt, done: Completion) -> Receipt:
    """The task COMPLETED, together with the effect of its code's answer."""
    ending = Ending(TaskStatusEnum.COMPLETED, outputs=[done.outputs], effect=done.effect)
    ended = attempt.end(ending)
    assert ended is not None
    return ended


def state_of(database: Database[Document], migration_id: str) -> Json:
    """What a migration made, as rows by kind: without times and writers, ids as in the source."""
    row = database["migrations"].find_one({"_id": migration_id})
    assert row is not None
    ids = IdMap(migration_id, row["target_id"])
    source = {"namespace_id": row["namespace_id"]}
    back = {row["target_id"]: row["namespace_id"]}
    for name in KINDS:
        back |= {ids.new(each["_id"]): each["_id"] for each in database[name].find(source)}
    for each in database["documents"].find(source):
        back[ids.document_key(each)] = each["_id"]
    found = {"namespace_id": row["target_id"]}
    return {
        name: sorted(
            (_brought_back(each, back) for each in database[name].find(found)),
            key=lambda each: str(each["_id"]),
        )
        for name in KINDS
    }


def plain(rows: Json) -> Json:
    """The rows of a source in the form of `state_of`."""
    return {name: [_brought_back(each, {}) for each in some] for name, some in rows.items()}


def _brought_back(value: Any, back: Mapping[str, str]) -> Any:
    match value:
        case str():
            return back.get(value, value)
        case dict():
            return {
                back.get(key, key): _brought_back(each, back)
                for key, each in value.items()
                if key not in BY_DESIGN
            }
        case list():
            return [_brought_back(each, back) for each in value]
        case _:
            return value


def count_rows(database: Database[Document]) -> Json:
    """How many rows there are of each kind, in all namespaces."""
    names = (*KINDS, "namespaces", "failed_documents")
    return {name: database[name].count_documents({}) for name in names}


def tracks_of(database: Database[Document], migration: Json) -> list[Json]:
    """What the plan of a migration has to move."""
    row = database["migrations"].find_one({"_id": migration["migration_id"]})
    assert row is not None
    tracks: list[Json] = row["plan"]["tracks"]
    return tracks


def assign(database: Database[Document], taxonomy_id: str, nodes: list[str]) -> None:
    """Each document is assigned the first one, in the form that the taxonomies' job writes."""
    for each in nodes:
        row = database["documents"].find_one({"_id": each})
        assert row is not None
        step = {"node_id": nodes[0], "label": "one", "score": 0.5}
        entry = {
            "version": 1,
            "task_id": "tsk_x",
            "assignments": [
                {**step, "collection_id": row["collection_id"], "level": 0, "path": [step]}
                | {"fields": {}}
            ],
            "fields": {},
            "assigned_at": row["updated_at"],
        }
        database["documents"].update_one(
            {"_id": each}, {"$set": {f"taxonomies.{taxonomy_id}": entry}}
        )
