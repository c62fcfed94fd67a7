"""Workers killed at random commands of each kind of job: the outcome is that of a quiet run."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from pymongo.database import Database

from app.clusters.cluster import TASK_TYPE as CLUSTER
from app.database import Document
from app.migrations.migration import RUN_TYPE as MIGRATION
from app.receipts.status import TERMINAL
from app.resources.extraction import ExtractionStore, NewDocument, Origin
from app.settings import Settings
from app.taxonomies.materialization import TASK_TYPE as TAXONOMY
from tests.integration.migrations import URL, Source, config, state_of
from tests.integration.resources import Json, made
from tests.integration.sudden_death import VARIABLE, Deaths
from tests.integration.taxonomies import TaxonomyScene
from tests.integration.worker.fleet import Desk
from tests.polling import poll

DEATHS: Final = {CLUSTER: 20, TAXONOMY: 8, f"{TAXONOMY}.chunk": 12, MIGRATION: 20}
WHOLE_WORKERS: Final = 4  # every how many deaths the worker goes with all of its processes
RUNS: Final = 5
ROUNDS: Final = 6
DOCUMENTS: Final = 60
GROUPS: Final = 4
DIMENSION: Final = 256  # of the text extractor's vectors
SEED: Final = 20
WITHIN_S: Final = 240.0
PASSING: Final = frozenset({"_id", "run_id", "written_at"})


@dataclass(frozen=True, slots=True)
class Run:
    """One job that was started: its task, and what it leaves behind."""

    task_id: str
    state: Callable[[], object]


Start = Callable[[], Run]


@pytest.fixture
def database(desk: Desk) -> Database[Document]:
    """That of the fleet, in place of an empty one."""
    return desk.database


@pytest.fixture
def settings(mongo_url: str, desk: Desk) -> Settings:
    """An API over what the fleet works on, whose tasks may be tried as often as they die."""
    return Settings(
        mongo_url=mongo_url,
        mongo_database=desk.database.name,
        redis_url=desk.fleet.broker.url,
        max_attempts=100,
    )


@pytest.mark.timeout(900)
def test_every_kind_of_job_ends_as_if_nothing_had_died(desk: Desk, client: httpx.Client) -> None:
    deaths = {kind: Deaths.of(Path(desk.fleet.env[VARIABLE]), kind) for kind in DEATHS}
    source = Source(client, desk.database, desk.ledger)
    _fill(source)
    scenes = [_taxonomy(desk, client, n) for n in range(RUNS)]
    starts: list[Start] = [_cluster(client, source), _migration(client, source), *scenes]
    quiet = [_ended(desk, start())[0] for start in starts]

    rng = random.Random(SEED)
    for kind, count in DEATHS.items():
        last = deaths[kind].commands()
        for n in range(count):
            command = rng.randint(1, last)
            deaths[kind].plan(command, whole_worker=n % WHOLE_WORKERS == 0)
    for _ in range(ROUNDS):
        # All at once; a taxonomy has one run at a time over its documents.
        runs = [(n, start()) for n, start in enumerate(starts[:2]) for _ in range(2 * RUNS)]
        runs += [(n, start()) for n, start in enumerate(starts) if n >= 2]
        for n, run in runs:
            state, _ = _ended(desk, run)
            assert state == quiet[n]
        if not any(each.left() for each in deaths.values()):
            break
    assert {kind: each.happened() for kind, each in deaths.items()} == DEATHS


def _fill(source: Source) -> None:
    """Objects, and documents whose vectors are scattered around a few points."""
    object_ids = source.add(*(f"text {n}" for n in range(DOCUMENTS)))
    rng = np.random.default_rng(SEED)
    centres = rng.normal(size=(GROUPS, DIMENSION))
    vectors = centres[rng.integers(GROUPS, size=DOCUMENTS)] + rng.normal(
        size=(DOCUMENTS, DIMENSION)
    )
    namespace_id, bucket_id = source.namespace_id, source.bucket["bucket_id"]
    origin = Origin(namespace_id, bucket_id, "btch_none", "tsk_none", 1)
    documents = [
        NewDocument(source.collection["collection_id"], each, "text", vector, {}, {})
        for each, vector in zip(object_ids, vectors.astype(np.float32), strict=True)
    ]
    ExtractionStore(source.database).write(origin, object_ids, documents, [])


def _ended(desk: Desk, run: Run) -> tuple[object, Json]:
    """What the run left, and its receipt; workers that died are started again meanwhile."""

    def look() -> Any:
        for worker in desk.fleet.workers:
            if worker.status != "running":
                worker.restart()
        receipt = desk.ledger.receipts.get(run.task_id)
        return receipt if receipt.status in TERMINAL else None

    receipt = poll(look, description=f"{run.task_id} ends", within_s=WITHIN_S)
    assert receipt.status == "COMPLETED", receipt.error_message
    return run.state(), receipt.to_json()


def _cluster(client: httpx.Client, source: Source) -> Start:
    """Executions of one cluster."""
    body = {
        "cluster_name": "deaths",
        "collection_ids": [source.collection["collection_id"]],
        "cluster_type": "vector",
        "vector_config": {
            "feature_uris": ["text"],
            "clustering_method": "kmeans",
            "algorithm_params": {"n_clusters": GROUPS},
        },
    }
    cluster_id = source.post("/v1/clusters", body)["cluster_id"]

    def start() -> Run:
        task = source.post(f"/v1/clusters/{cluster_id}/execute", {})
        run_id = task["additional_data"]["run_id"]
        return Run(task["task_id"], lambda: _found(source.database, run_id))

    return start


def _found(database: Database[Document], run_id: str) -> Json:
    """Everything that an execution left, without its id and times."""
    run = database["cluster_runs"].find_one({"_id": run_id})
    assert run is not None
    found: Json = {"result": run["result"], "stage": run["stage"]}
    for name in ("cluster_members", "cluster_groups", "cluster_parts"):
        rows = database[name].find({"run_id": run_id}).sort("_id", 1)
        found[name] = [{k: v for k, v in row.items() if k not in PASSING} for row in rows]
        assert found[name]
    return found


def _migration(client: httpx.Client, source: Source) -> Start:
    """Copies of one namespace."""
    numbers = iter(range(1_000))

    def start() -> Run:
        asked = config(source.namespace_id, f"copy-{next(numbers)}-{source.name}")
        body = {"config": {**asked, "batch_options": {"batch_size": 5}}, "start_immediately": True}
        migration_id = made(client.post(URL, json=body))["migration_id"]
        task_id = made(client.get(f"{URL}/{migration_id}"))["task_id"]
        return Run(task_id, lambda: state_of(source.database, migration_id))

    return start


def _taxonomy(desk: Desk, client: httpx.Client, number: int) -> Start:
    """Materializations of one taxonomy, each of which begins without any assignment."""
    body = {"namespace_name": f"taxonomy-{number}-{desk.database.name[-6:]}"}
    namespace_id = made(client.post("/v1/namespaces", json=body))["namespace_id"]
    scene = TaxonomyScene.open(desk.database, namespace_id, documents=DOCUMENTS)
    documents = desk.database["documents"]

    def start() -> Run:
        documents.update_many({"namespace_id": namespace_id}, {"$unset": {"taxonomies": ""}})
        documents.delete_many({"collection_id": scene.target_id})
        receipt = scene.submit(desk.ledger, into_target=number % 2 == 0)
        return Run(receipt.task_id, scene.state)

    return start
