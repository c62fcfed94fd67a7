"""Batches and their bucket, changed by several at one moment."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

from app.stores import Stores
from tests.integration.resources import Json, made, make_bucket, make_collection, make_object

ROUNDS: Final = 15


def draft(client: httpx.Client, bucket: Json, *object_ids: str) -> Json:
    url = f"/v1/buckets/{bucket['bucket_id']}/batches"
    return made(client.post(url, json={"object_ids": list(object_ids)}))


def test_a_count_that_comes_late_leaves_the_objects_counted(
    client: httpx.Client, stores: Stores
) -> None:
    """As of one of two who add: it counted before the other's objects were there."""
    bucket = make_bucket(client)
    first, second = (make_object(client, bucket)["object_id"] for _ in range(2))
    batch = draft(client, bucket, first)
    url = f"/v1/buckets/{bucket['bucket_id']}/batches/{batch['batch_id']}"
    assert made(client.post(f"{url}/objects", json={"object_ids": [second]}))["object_count"] == 2
    assert stores.batches.set_object_count(batch["batch_id"], 1)
    assert made(client.get(url))["object_count"] == 2


def test_a_bucket_is_not_deleted_under_a_batch_that_is_submitted(client: httpx.Client) -> None:
    for index in range(ROUNDS):
        bucket = make_bucket(client, f"goods-{index}")
        make_collection(client, bucket, f"texts-{index}")
        batch = draft(client, bucket, make_object(client, bucket)["object_id"])
        url = f"/v1/buckets/{bucket['bucket_id']}"
        submit = f"{url}/batches/{batch['batch_id']}/submit"
        with ThreadPoolExecutor(2) as pool:
            submitted = pool.submit(client.post, submit, json={})
            deleted = pool.submit(client.delete, url)
        statuses = (submitted.result().status_code, deleted.result().status_code)
        assert statuses in ((200, 409), (404, 200))
