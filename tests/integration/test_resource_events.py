"""What stands tells of itself: the event is stored with the change, or neither is."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app.database import Document
from app.identity import new_id, repeatable_ids
from app.resources.stored_object import ObjectStore, parts
from app.stores import Stores
from tests.integration.resources import (
    Json,
    error,
    made,
    make_bucket,
    make_collection,
    make_object,
    thing,
)


def told(database: Database[Document], **query: object) -> list[Document]:
    return list(database["outbox"].find(query).sort("_id"))


def types_of(database: Database[Document], subject_id: str) -> list[str]:
    return sorted(row["event_type"] for row in told(database, **{"subject.id": subject_id}))


def test_objects_tell(client: httpx.Client, database: Database[Document]) -> None:
    bucket = make_bucket(client, unique_key="sku")
    url = f"/v1/buckets/{bucket['bucket_id']}/objects"
    one = make_object(client, bucket, sku="a")
    error(client.post(url, json=thing(sku="a")), 409, "AlreadyExistsError")
    body = {"objects": [thing(sku=sku) for sku in ("b", "a", "c", "b")]}
    key = {"Idempotency-Key": "k1"}
    many = made(client.post(f"{url}/batch", json=body, headers=key))
    assert [each["index"] for each in many["failed"]] == [1, 3]
    assert made(client.post(f"{url}/batch", json=body, headers=key)) == many
    made(client.delete(f"{url}/{one['object_id']}"))
    error(client.delete(f"{url}/{one['object_id']}"), 404, "NotFoundError")

    assert types_of(database, one["object_id"]) == ["object.created", "object.deleted"]
    (event,) = told(database, event_type="objects.created.batch")
    stored = [each["object_id"] for each in many["succeeded"]]
    assert event["metadata"] == {
        "bucket_id": bucket["bucket_id"],
        "object_ids": stored,
        "count": 2,
    }
    assert event["subject"] == {"type": "bucket", "id": bucket["bucket_id"]}
    assert event["namespace_id"] == bucket["namespace_id"]
    assert event["waiting_since"] == event["occurred_at"]
    assert len(told(database)) == 3
    # A call that stores nothing has nothing to tell.
    made(client.post(f"{url}/batch", json={"objects": [thing(sku="b")]}))
    assert len(told(database)) == 3


def test_standing_things_tell(client: httpx.Client, database: Database[Document]) -> None:
    collection = make_collection(client, make_bucket(client), "c")
    cluster = made(
        client.post(
            "/v1/clusters",
            json={
                "cluster_name": "k",
                "collection_ids": [collection["collection_id"]],
                "cluster_type": "vector",
                "vector_config": {"feature_uris": ["text"], "clustering_method": "kmeans"},
            },
        )
    )
    config = {"source_collection": {"collection_id": "c", "label_field": "name"}}
    body = {"taxonomy_name": "t", "config": config}
    taxonomy = made(client.post("/v1/taxonomies", json=body))
    version = {"config": {**config, "top_k": 3}}
    key = {"Idempotency-Key": "k2"}
    made(client.post("/v1/taxonomies/t/versions", json=version, headers=key))
    for url in ("/v1/taxonomies/t", "/v1/clusters/k", "/v1/collections/c"):
        made(client.patch(url, json={"description": "new"}))
        made(client.delete(url))
        error(client.delete(url), 404, "NotFoundError")

    life = ["created", "deleted", "updated"]
    collection_id, cluster_id = collection["collection_id"], cluster["cluster_id"]
    assert types_of(database, collection_id) == [f"collection.{each}" for each in life]
    assert types_of(database, cluster_id) == [f"cluster.{each}" for each in life]
    assert types_of(database, taxonomy["taxonomy_id"]) == [
        *(f"taxonomy.{each}" for each in life),
        "taxonomy.updated",
    ]
    (gone,) = told(database, event_type="collection.deleted")
    assert gone["metadata"] == {"collection_id": collection_id, "collection_name": "c"}
    assert gone["cache_scope"] == {"scope": "collection", "id": collection_id}
    (gone,) = told(database, event_type="cluster.deleted")
    assert gone["cache_scope"] == {"scope": "key", "id": cluster_id}


def test_neither_is_stored_without_the_other(
    client: httpx.Client, stores: Stores, database: Database[Document]
) -> None:
    """The outbox refuses every row: nothing changes, whatever was asked for."""
    bucket = make_bucket(client)
    collection = make_collection(client, bucket)
    one = make_object(client, bucket)
    before = {name: list(database[name].find()) for name in ("objects", "collections")}
    database.command("collMod", "outbox", validator={"never": {"$exists": True}})

    found = stores.buckets.get(bucket["bucket_id"], namespace_id=bucket["namespace_id"])
    collections = stores.collections
    standing = collections.get(collection["collection_id"], namespace_id=found.namespace_id)
    for change in (
        lambda: stores.objects.insert(found, row(found.bucket_id)),
        lambda: stores.objects.insert_many([row(found.bucket_id), row(found.bucket_id)]),
        lambda: stores.objects.delete(found, one["object_id"]),
        lambda: collections.change(standing, {"description": "new"}),
        lambda: collections.delete_empty(standing),
    ):
        with pytest.raises(PyMongoError):
            change()
    assert {name: list(database[name].find()) for name in before} == before


def row(bucket_id: str, key: str | None = None, **more: Any) -> Document:
    """An object as the store takes it."""
    at = datetime.now(UTC)
    return {
        "_id": new_id("obj", key or ""),
        "namespace_id": "ns_1",
        "bucket_id": bucket_id,
        "blobs": [],
        "fields": {},
        "created_at": at,
        **({} if key is None else {"unique_key": key}),
        **more,
    }


def test_a_request_that_runs_again_tells_nothing_more(database: Database[Document]) -> None:
    objects = ObjectStore(database)
    objects.ensure_indexes()
    for taken in (set(), {0}):
        with repeatable_ids(new_id("seed")):  # another request: its ids are its own
            assert objects.insert_many([row("bkt_1", "other")]) == taken
    seed = new_id("seed")
    for _ in range(2):
        with repeatable_ids(seed):
            rows = [row("bkt_1", key) for key in ("a", "other", "b")]
            assert objects.insert_many(rows) == {1}
    events = told(database, event_type="objects.created.batch")
    assert [event["metadata"]["count"] for event in events] == [1, 2]


def test_one_of_two_at_once_gets_a_key(database: Database[Document]) -> None:
    """Bulk calls that clash store each key once, and tell of exactly what is there."""
    objects = ObjectStore(database)
    objects.ensure_indexes()
    batches = [[row("bkt_1", f"{(n + i) % 60}") for i in range(40)] for n in (0, 20, 40)]
    with ThreadPoolExecutor(len(batches)) as pool:
        taken = list(pool.map(objects.insert_many, batches))
    stored = {each["_id"]: each["unique_key"] for each in database["objects"].find()}
    assert sorted(stored.values()) == sorted({f"{i}" for i in range(60)})
    assert sum(map(len, taken)) == 3 * 40 - 60
    ids = [one for event in told(database) for one in event["metadata"]["object_ids"]]
    assert sorted(ids) == sorted(stored)


def test_what_is_large_is_stored_in_parts(database: Database[Document]) -> None:
    """MongoDB refuses a transaction that does not fit into its memory."""
    objects = ObjectStore(database)
    objects.ensure_indexes()
    rows = [row("bkt_1", blobs=[{"data": "x" * 1024 * 1024}]) for _ in range(32)]
    assert objects.insert_many(rows) == set()
    events: list[Json] = told(database)
    assert len(events) == 11
    ids = [one for event in events for one in event["metadata"]["object_ids"]]
    assert sorted(ids) == sorted(each["_id"] for each in rows)
    assert list(parts(rows[:2], most_bytes=10)) == [[0], [1]]  # one alone may have more
