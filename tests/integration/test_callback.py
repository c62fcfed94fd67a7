"""The URL that a submit names is checked, and kept with the receipt of the task that it makes."""

from typing import Final

import httpx
import pytest
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from tests.integration.clusters import cluster_body
from tests.integration.migrations import URL as MIGRATIONS
from tests.integration.migrations import Source
from tests.integration.resources import (
    Json,
    error,
    made,
    make_bucket,
    make_collection,
    make_object,
    places,
)
from tests.integration.test_idempotency import register_type

URL: Final = "https://example.com/waybill?a=1"
REFUSED: Final = "the URL leads to an address that may not be called from here"
WRONG: Final = {
    "http://169.254.169.254/latest": REFUSED,
    "http://[::ffff:127.0.0.1]/": REFUSED,
    "https://example.com:8443/": "the URL names a port that may not be called from here",
    "ftp://example.com/": "the URL must begin with https:// or http://",
    "example.com/waybill": "a URL reads https://host/path or http://host/path",
    "https://user:secret@example.com/": "a URL has no user name and no password",
}


def stored_url(database: Database[Document], task_id: str) -> object:
    receipt = database["tasks"].find_one({"_id": task_id})
    assert receipt is not None
    return receipt.get("callback_url")


@pytest.fixture
def calls(client: httpx.Client) -> dict[str, Json]:
    """The paths of calls that make a task, each with the least that its body must say."""
    bucket = make_bucket(client)
    stored = make_object(client, bucket)
    collection_id = make_collection(client, bucket)["collection_id"]
    batches = f"/v1/buckets/{bucket['bucket_id']}/batches"
    batch = made(client.post(batches, json={"object_ids": [stored["object_id"]]}))
    cluster = made(client.post("/v1/clusters", json=cluster_body(collection_id)))
    config = {"taxonomy_type": "flat", "source_collection": collection_id}
    taxonomy = {"taxonomy_name": "kinds", "config": config}
    taxonomy_id = made(client.post("/v1/taxonomies", json=taxonomy))["taxonomy_id"]
    other = make_collection(client, bucket, "others")["collection_id"]
    return {
        f"{batches}/{batch['batch_id']}/submit": {},
        f"{batches}/{batch['batch_id']}/retry": {},
        f"/v1/clusters/{cluster['cluster_id']}/execute": {},
        f"/v1/taxonomies/{taxonomy_id}/materialize": {"collection_id": other},
    }


def test_each_call_that_makes_a_task_keeps_the_url_with_it(
    client: httpx.Client, database: Database[Document], calls: dict[str, Json]
) -> None:
    for path, body in calls.items():
        refused = error(
            client.post(path, json={**body, "webhook_url": "http://10.0.0.1/"}),
            422,
            "ValidationError",
        )
        assert places(refused) == [["body", "webhook_url"]]
        task = made(client.post(path, json={**body, "webhook_url": URL}))
        assert stored_url(database, task["task_id"]) == URL
        made(client.post(f"/v1/tasks/{task['task_id']}/kill"))  # that a batch may be retried

    submit = next(iter(calls))
    again = made(client.post(submit, json={"webhook_url": f"{URL}&b=2"}))
    assert stored_url(database, again["task_id"]) == URL


def test_of_several_tasks_each_has_its_own(
    client: httpx.Client, database: Database[Document]
) -> None:
    register_type(database, "test_job")
    urls = [None, URL, *WRONG]
    tasks = [{"task_type": "test_job", "webhook_url": url} for url in urls]
    answer = made(client.post("/v1/tasks/submit", json={"tasks": tasks}))
    assert [stored_url(database, each["task_id"]) for each in answer["succeeded"]] == [None, URL]
    assert len(answer["failed"]) == len(WRONG)
    for failure in answer["failed"]:
        assert WRONG[urls[failure["index"]] or ""] in failure["error"]
        assert places(failure) == [["tasks", failure["index"], "webhook_url"]]


def test_a_migration_tells_of_its_run_and_not_of_its_rollback(
    client: httpx.Client, database: Database[Document], ledger: Ledger
) -> None:
    source = Source(client, database, ledger)
    config = {
        "migration_type": "copy",
        "source_namespace_id": source.name,
        "target_namespace_name": f"{source.name}-copy",
        "webhook_url": "http://localhost:9/",
    }
    for path in (MIGRATIONS, f"{MIGRATIONS}/validate"):
        refused = error(client.post(path, json={"config": config}), 422, "ValidationError")
        assert places(refused) == [["body", "config", "webhook_url"]]
    config["webhook_url"] = URL
    migration = made(client.post(MIGRATIONS, json={"config": config, "start_immediately": True}))
    assert migration["config"]["webhook_url"] == URL
    assert stored_url(database, migration["task_id"]) == URL
    path = f"{MIGRATIONS}/{migration['migration_id']}"
    made(client.post(f"{path}/cancel"))
    rollback = made(client.post(f"{path}/rollback"))
    assert stored_url(database, rollback["task_id"]) is None
