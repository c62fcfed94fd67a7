"""Namespaces that are deleted with what lies in them, and with what nobody could reach."""

from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from app.database import Document
from app.receipts.job_type import JobType
from app.receipts.ledger import Ledger
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move
from app.removal.namespace import TASK_TYPE, contents
from app.resources.removal import Removal
from app.settings import Settings
from tests.integration.migrations import URL, Source, Worker, config, started
from tests.integration.resources import Json, error, made
from workers.exit import PausedError
from workers.jobs.migration import carry_out
from workers.jobs.removal import remove

PENDING, PROCESSING = TaskStatusEnum.PENDING, TaskStatusEnum.PROCESSING
# Receipts and the answers of requests live out their retention.
STAY = ("tasks", "idempotency", "outbox")


@pytest.fixture
def worker(settings: Settings, database: Database[Document], ledger: Ledger) -> Worker:
    kind = JobType(TASK_TYPE, "jobs", 3, submittable=False, suspendable=True)
    ledger.job_types.register([kind])
    return Worker(settings, database, ledger)


@pytest.fixture
def source(client: httpx.Client, database: Database[Document], ledger: Ledger) -> Source:
    found = Source(client, database, ledger)
    found.process(found.add("one", "two", "three"))
    task = database["tasks"].find_one({"namespace_id": found.namespace_id})
    assert task is not None
    made(client.post(f"/v1/tasks/{task['_id']}/kill", json={}, headers=found.headers))
    return found


def crash() -> None:
    raise ConnectionError("the line went dead")


def half_done(client: httpx.Client, worker: Worker, asked: Json) -> Json:
    """A migration that failed after its third step."""
    migration = started(client, asked)
    attempt = worker.attempt(migration["task_id"], {3: crash})
    with pytest.raises(ConnectionError):
        carry_out(worker.process, attempt)
    worker.fail(attempt)
    return migration


def told(database: Database[Document], namespace_id: str) -> set[str]:
    """What others are told of the namespace."""
    return set(database["outbox"].distinct("event_type", {"namespace_id": namespace_id}))


def rows_of(database: Database[Document], *namespace_ids: str) -> dict[str, int]:
    """How many rows of each kind these namespaces have together."""
    scope = {"namespace_id": {"$in": list(namespace_ids)}}
    names = set(database.list_collection_names()) - set(STAY)
    found = {name: database[name].count_documents(scope) for name in names}
    return {name: count for name, count in found.items() if count}


def test_it_takes_along_what_migrations_left_and_no_more(
    client: httpx.Client, worker: Worker, source: Source, database: Database[Document]
) -> None:
    whole = started(client, config(source.name, f"{source.name}-a"))
    worker.run(whole["task_id"])
    half = half_done(client, worker, config(source.name, f"{source.name}-b"))
    target_ids = {
        row["_id"]: row["target_id"] for row in database["migrations"].find({}, {"target_id": 1})
    }
    made_id, hidden_id = (target_ids[each["migration_id"]] for each in (whole, half))
    before = rows_of(database, made_id)
    hidden = rows_of(database, hidden_id)["objects"]
    assert hidden > 0

    task = made(client.delete(f"/v1/namespaces/{source.namespace_id}"))
    attempt = worker.attempt(task["task_id"])
    removal = Removal(database, partial(contents, database, source.namespace_id))
    counts = remove(attempt, removal)
    assert counts["objects"] == 3 + hidden
    assert rows_of(database, source.namespace_id, hidden_id) == {}
    standing = {"collection.created", "collection.deleted"}
    assert told(database, source.namespace_id) == {*standing, "objects.created.batch"}
    assert told(database, made_id) == {"collection.created"}
    assert told(database, hidden_id) == set()
    assert rows_of(database, made_id) == before


def test_a_target_stays_while_a_migration_into_it_is_open(
    client: httpx.Client, worker: Worker, source: Source
) -> None:
    target = f"{source.name}-c"
    made(client.post("/v1/namespaces", json={"namespace_name": target}))
    migration = started(client, config(source.name, target, "extend"))
    found = error(client.delete(f"/v1/namespaces/{target}"), 409, "AlreadyExistsError")
    assert migration["migration_id"] in found["message"]
    made(client.post(f"{URL}/{migration['migration_id']}/cancel", json={}))
    made(client.delete(f"/v1/namespaces/{target}"))


def test_a_removal_goes_on_where_it_was_left(
    client: httpx.Client, worker: Worker, source: Source, database: Database[Document]
) -> None:
    """Suspended and resumed, then its worker lost in the middle of a step."""
    there = sum(rows_of(database, source.namespace_id).values())
    task_id = made(client.delete(f"/v1/namespaces/{source.namespace_id}"))["task_id"]
    run: Any = partial(
        remove, removal=Removal(database, partial(contents, database, source.namespace_id))
    )

    def suspend() -> None:
        made(client.post(f"/v1/tasks/{task_id}/suspend", json={}))

    attempt = worker.attempt(task_id, {1: suspend})
    with pytest.raises(PausedError) as paused:
        run(attempt)
    attempt.pause(paused.value)
    made(client.post(f"/v1/tasks/{task_id}/resume", json={}))
    attempt = worker.attempt(task_id, {1: crash})
    with pytest.raises(ConnectionError):
        run(attempt)
    left = attempt.receipt.checkpoint
    assert isinstance(left, dict)
    assert 0 < sum(left.values()) < there
    lost = Move((PROCESSING,), PENDING, actor="test", reason="lost", worker=attempt.worker)
    assert attempt.give_back(lost, delay=timedelta(0)) is not None
    assert sum(run(worker.attempt(task_id)).values()) == there
    assert rows_of(database, source.namespace_id) == {}
