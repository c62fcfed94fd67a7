"""What follows a batch: once for a series of batches, once for each ticket, whatever dies."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any, Final

import httpx
import pytest
from pymongo.database import Database

from app.database import Document
from app.errors import AlreadyExistsError, PermanentError
from app.follow_up.follow_up import COLLECTION, LONGEST_WAIT, FollowUp
from app.follow_up.starter import Starter
from app.follow_up.sweep import FollowUpSweep
from app.identity import new_id
from app.receipts.receipt import NewTask, Receipt
from app.resources.application import Applications, ClusterApplication, TaxonomyApplication
from app.resources.batch import Batch
from app.resources.collection import stored_applications
from app.settings import Settings
from app.stores import Stores
from tests.integration.clusters import cluster_body
from tests.integration.resources import Json, made, make_bucket, make_collection

AT_ONCE: Final = timedelta(0)
AN_HOUR: Final = timedelta(hours=1)
CLUSTER: Final = ClusterApplication("clust_a", cooldown_seconds=0)
TAXONOMY: Final = TaxonomyApplication("tax_a")


class Scene:
    """A collection with applications, and batches of it that have ended."""

    def __init__(self, client: httpx.Client, stores: Stores, database: Database[Document]) -> None:
        self.stores, self.database = stores, database
        self.bucket = make_bucket(client)
        self.collection = make_collection(client, self.bucket)
        self.started: list[FollowUp] = []

    def apply(self, *applications: TaxonomyApplication | ClusterApplication) -> None:
        found = Applications(
            tuple(each for each in applications if isinstance(each, TaxonomyApplication)),
            tuple(each for each in applications if isinstance(each, ClusterApplication)),
        )
        self.database["collections"].update_one(
            {"_id": self.collection["collection_id"]}, {"$set": stored_applications(found)}
        )

    def end_batch(self, status: str = "COMPLETED") -> Batch:
        batch = self.stores.batches.create(
            namespace_id=self.bucket["namespace_id"],
            bucket_id=self.bucket["bucket_id"],
            batch_name=None,
            metadata={},
            collection_ids=[self.collection["collection_id"]],
        )
        self.end_again(batch, status)
        return batch

    def end_again(self, batch: Batch, status: str = "COMPLETED") -> None:
        """As a task of the batch leaves it, the first one or that of a retry."""
        ended = {"status": status, "outcome": {}, "followed_up": False, "task_id": new_id("tsk")}
        self.database["batches"].update_one({"_id": batch.batch_id}, {"$set": ended})

    def start(self, follow_up: FollowUp) -> Receipt:
        """Submits a task, as the launchers of clusters and taxonomies do."""
        self.started.append(follow_up)
        task = NewTask("test_job", follow_up.namespace_id, [], "test", {}, max_attempts=3)
        (receipt,) = self.stores.ledger.submission.submit([task])
        return receipt

    def sweep(
        self,
        debounce: timedelta = AT_ONCE,
        start: Callable[[FollowUp], Receipt] | None = None,
    ) -> int:
        stores = self.stores
        return FollowUpSweep(
            stores.namespaces,
            stores.batches,
            stores.collections,
            stores.documents,
            stores.follow_ups,
            start or self.start,
            debounce,
        ).run()

    def row(self) -> Document:
        (found,) = self.database[COLLECTION].find()
        return found

    def tasks(self) -> int:
        return self.stores.ledger.receipts.tasks.count_documents({"task_type": "test_job"})


@pytest.fixture
def scene(client: httpx.Client, stores: Stores, database: Database[Document]) -> Scene:
    return Scene(client, stores, database)


def test_each_application_runs_once_after_a_batch(scene: Scene, client: httpx.Client) -> None:
    never = ClusterApplication("clust_b", auto_execute_on_batch=False)
    scene.apply(CLUSTER, TAXONOMY, never)
    scene.end_batch("FAILED")
    assert scene.sweep() == 0
    scene.end_batch()
    assert scene.sweep() == 2
    assert {each.application for each in scene.started} == {CLUSTER, TAXONOMY}
    assert scene.sweep() == 0
    shown: Json = made(client.get("/v1/collections/texts"))
    tasks = {each["last_task_id"] for each in shown["follow_ups"]}
    assert [each["kind"] for each in shown["follow_ups"]] == ["cluster", "taxonomy"]
    assert [each["due_at"] for each in shown["follow_ups"]] == [None, None]
    assert len(tasks) == scene.tasks() == 2


def test_a_series_of_batches_is_followed_by_one_run_within_a_bound(scene: Scene) -> None:
    scene.apply(CLUSTER)
    for _ in range(3):
        scene.end_batch()
        assert scene.sweep(AN_HOUR) == 0
    since: datetime = scene.row()["since"]
    assert AN_HOUR <= scene.row()["due_at"] - since < AN_HOUR + timedelta(minutes=10)
    long_ago = since - AN_HOUR * (LONGEST_WAIT + 1)
    scene.database[COLLECTION].update_one({}, {"$set": {"since": long_ago}})
    scene.end_batch()
    assert scene.sweep(AN_HOUR) == 1
    assert scene.tasks() == 1


def test_a_sweep_that_dies_after_the_start_starts_nothing_twice(scene: Scene) -> None:
    scene.apply(CLUSTER)
    scene.end_batch()

    def start_and_die(follow_up: FollowUp) -> Receipt:
        scene.start(follow_up)
        raise RuntimeError("The worker is gone.")

    with pytest.raises(RuntimeError):
        scene.sweep(start=start_and_die)
    assert scene.tasks() == 1
    assert scene.sweep() == 1
    assert (scene.tasks(), scene.sweep()) == (1, 0)


def test_a_batch_that_ends_while_a_run_is_started_calls_for_another(scene: Scene) -> None:
    scene.apply(CLUSTER)
    scene.end_batch()

    def start_and_go_on(follow_up: FollowUp) -> Receipt:
        scene.end_batch()
        assert scene.sweep(AN_HOUR) == 0  # another control worker's
        return scene.start(follow_up)

    assert scene.sweep(start=start_and_go_on) == 1
    assert scene.row()["due_at"] is not None
    scene.database[COLLECTION].update_one({}, {"$set": {"due_at": scene.row()["since"]}})
    assert scene.sweep() == 1
    assert scene.tasks() == 2


def test_a_batch_that_is_retried_calls_for_another_run(scene: Scene) -> None:
    scene.apply(CLUSTER)
    batch = scene.end_batch()
    assert scene.sweep() == 1
    scene.end_again(batch)
    assert (scene.sweep(), scene.tasks()) == (1, 2)


def test_what_is_due_runs_as_the_collection_names_it_by_then(scene: Scene) -> None:
    later = ClusterApplication("clust_a", cooldown_seconds=60)
    for applications, started in (([later], 1), ([], 0)):
        scene.apply(CLUSTER)
        scene.end_batch()
        assert scene.sweep(AN_HOUR) == 0
        scene.database[COLLECTION].update_one({}, {"$set": {"due_at": scene.row()["since"]}})
        scene.apply(*applications)
        assert scene.sweep() == started
    assert [each.application for each in scene.started] == [later]
    assert scene.database[COLLECTION].count_documents({}) == 0


def test_nothing_runs_in_a_namespace_that_is_gone(scene: Scene) -> None:
    scene.apply(CLUSTER, TAXONOMY)
    scene.end_batch()
    scene.sweep(AN_HOUR)
    scene.end_batch()
    scene.database["namespaces"].delete_one({"_id": scene.bucket["namespace_id"]})
    scene.database[COLLECTION].update_many({}, [{"$set": {"due_at": "$since"}}])
    assert (scene.sweep(), scene.started) == (0, [])
    assert scene.database[COLLECTION].count_documents({}) == 0


def test_sweeps_that_race_start_one_execution(
    scene: Scene, client: httpx.Client, settings: Settings
) -> None:
    body = cluster_body(scene.collection["collection_id"])
    cluster_id = made(client.post("/v1/clusters", json=body))["cluster_id"]
    scene.apply(ClusterApplication(cluster_id, cooldown_seconds=0))
    scene.end_batch()
    scene.sweep(AN_HOUR)
    scene.database[COLLECTION].update_one({}, {"$set": {"due_at": scene.row()["since"]}})
    ledger = scene.stores.ledger
    start = Starter.over(ledger.receipts.tasks.database, ledger, settings)
    both = Barrier(2, timeout=60)

    def start_together(follow_up: FollowUp) -> Receipt:
        both.wait()
        return start(follow_up)

    with ThreadPoolExecutor(2) as pool:
        sweeps = [pool.submit(scene.sweep, start=start_together) for _ in range(2)]
        assert [each.result() for each in sweeps] == [1, 1]  # each says so of the same task
    tasks = ledger.receipts.tasks.find({"task_type": "engine_cluster_build"})
    assert [each["_id"] for each in tasks] == [scene.row()["last_task_id"]]


def test_a_cluster_waits_for_its_cooldown_and_for_enough_documents(scene: Scene) -> None:
    scene.apply(ClusterApplication("clust_a", cooldown_seconds=3600))
    scene.end_batch()
    assert scene.sweep() == 1
    scene.end_batch()
    assert scene.sweep() == 0
    row = scene.row()
    assert row["due_at"] - row["last_started_at"] == AN_HOUR
    scene.apply(ClusterApplication("clust_c", min_document_threshold=1, cooldown_seconds=0))
    scene.end_batch()
    assert scene.sweep() == 0
    assert scene.database[COLLECTION].count_documents({"due_at": {"$exists": True}}) == 1


@pytest.mark.parametrize(
    ("error", "is_due_again"),
    [
        (AlreadyExistsError("An execution is open."), True),
        (PermanentError("There is no such cluster."), False),
    ],
)
def test_what_cannot_start_is_put_off_or_told(
    scene: Scene, error: Exception, *, is_due_again: bool
) -> None:
    def refuse(_: FollowUp) -> Any:
        raise error

    scene.apply(CLUSTER)
    scene.end_batch()
    assert scene.sweep(start=refuse) == 0
    row = scene.row()
    assert ("due_at" in row) == is_due_again
    assert row.get("last_error") == (None if is_due_again else str(error))


def test_an_open_task_that_began_earlier_is_not_taken_for_the_answer(scene: Scene) -> None:
    scene.apply(TAXONOMY)
    scene.end_batch()
    task = NewTask("test_job", scene.bucket["namespace_id"], [], "test", {}, max_attempts=3)
    (earlier,) = scene.stores.ledger.submission.submit([task])
    assert scene.sweep(start=lambda _: earlier) == 0
    assert scene.row()["due_at"] > scene.row()["since"]
    assert "last_task_id" not in scene.row()
