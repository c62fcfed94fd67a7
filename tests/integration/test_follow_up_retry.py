"""A batch that is retried at once is followed up on all the same."""

import httpx
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from app.stores import Stores
from tests.integration.receipts import COMPLETED, claim
from tests.integration.resources import Json, made, make_object
from tests.integration.test_follow_up import CLUSTER, Scene


def complete(ledger: Ledger, task: Json) -> None:
    _, by = claim(ledger, ledger.receipts.get(task["task_id"]))
    assert ledger.receipts.finish(task["task_id"], by.token, COMPLETED, worker=by.worker)


def test_a_batch_that_is_retried_before_the_sweep_is_followed_up_on(
    client: httpx.Client, stores: Stores, database: Database[Document], ledger: Ledger
) -> None:
    scene = Scene(client, stores, database)
    scene.apply(CLUSTER)
    url = f"/v1/buckets/{scene.bucket['bucket_id']}/batches"
    object_id = make_object(client, scene.bucket)["object_id"]
    batch = made(client.post(url, json={"object_ids": [object_id]}))
    complete(ledger, made(client.post(f"{url}/{batch['batch_id']}/submit", json={})))

    retried = made(client.post(f"{url}/{batch['batch_id']}/retry", json={}))
    assert scene.sweep() == 1
    made(client.post(f"/v1/tasks/{retried['task_id']}/kill", json={}))
    stores.batches.settle()
    assert scene.sweep() == 0

    complete(ledger, made(client.post(f"{url}/{batch['batch_id']}/retry", json={})))
    stores.batches.settle()
    made(client.post(f"{url}/{batch['batch_id']}/retry", json={}))
    assert scene.sweep() == 1
    assert scene.sweep() == 0
    assert scene.tasks() == 2
