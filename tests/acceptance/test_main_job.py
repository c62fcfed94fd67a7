"""The main job as its users run it: objects in, documents and a receipt out."""

import httpx
import pytest

from tests.acceptance.shop import Shop, text_object
from tests.stack import Stack
from waybill import ApiError, Client, TaskFailedError

pytestmark = pytest.mark.timeout(240)


def test_a_batch_becomes_documents_with_a_receipt_and_its_history(shop: Shop) -> None:
    ids = shop.add(text_object(f"note {n}", price=n) for n in range(250))
    batch = shop.batch(ids, batch_name="first")
    assert (batch["status"], batch["object_count"], batch["task_id"]) == ("DRAFT", 250, None)
    task = shop.submit(batch)
    assert task["status"] in ("PENDING", "PROCESSING")
    assert shop.submit(batch)["task_id"] == task["task_id"]

    receipt = shop.ended(task)
    assert receipt["status"] == "COMPLETED"
    assert receipt["task_type"] == "api_buckets_batches_process"
    assert receipt["inputs"] == [batch["batch_id"]]
    assert receipt["outputs"] == [
        {"chunks": 3, "objects": 250, "succeeded": 250, "failed": 0, "documents": 250}
    ]
    assert receipt["progress"] is not None
    assert receipt["progress"]["done"] == receipt["progress"]["total"] == 250
    assert receipt["additional_data"]["batch_id"] == batch["batch_id"]
    assert receipt["additional_data"]["request_id"].startswith("req_")
    assert receipt["error_message"] is None

    history = shop.client.tasks.history(task["task_id"])
    steps = [(entry["seq"], entry["from"], entry["to"]) for entry in history]
    assert steps == [
        (1, None, "PENDING"),
        (2, "PENDING", "PROCESSING"),
        (3, "PROCESSING", "COMPLETED"),
    ]
    assert history[0]["actor"] == "key:admin"

    documents = shop.documents()
    assert sorted(document["object_id"] for document in documents) == sorted(ids)
    assert {document["task_id"] for document in documents} != {None}


def test_the_batch_agrees_with_its_task(shop: Shop) -> None:
    batch, receipt = shop.process(shop.add([text_object("one"), text_object("two")]))
    for bucket in (shop.bucket_id, None):
        found = shop.client.batches.get(batch["batch_id"], bucket=bucket)
        assert found["status"] == receipt["status"] == "COMPLETED"
        assert found["task_id"] == receipt["task_id"]
        assert found["progress"] == {
            "processed": 2,
            "total": 2,
            "percent": 100.0,
            "items_per_second": found["progress"]["items_per_second"],
            "eta_seconds": 0.0,
            "errors": 0,
        }


def test_a_poller_falls_back_to_the_batch_when_the_receipt_is_gone(shop: Shop) -> None:
    batch, _ = shop.process(shop.add([text_object("one")]))
    found = shop.client.tasks.wait("tsk_past_its_retention", resource_path=shop.path(batch))
    assert found["additional_data"]["batch_id"] == batch["batch_id"]
    assert found["status"] == "COMPLETED"


def test_bad_objects_are_listed_and_do_not_fail_the_batch(shop: Shop) -> None:
    ids = shop.add([text_object("good"), text_object("  ")])
    gone = shop.add([text_object("to be deleted")])
    batch = shop.batch([*ids, *gone])
    shop.client.objects.delete(shop.bucket_id, gone[0])
    receipt = shop.ended(shop.submit(batch))
    assert receipt["status"] == "COMPLETED"
    assert receipt["outputs"][0]["succeeded"] == 1
    assert receipt["outputs"][0]["failed"] == 2
    failed = list(shop.client.batches.failed_documents(shop.bucket_id, batch["batch_id"]))
    kinds = {row["object_id"]: row["error_type"] for row in failed}
    assert kinds == {ids[1]: "no_features", gone[0]: "deleted"}
    assert all(row["reason"] for row in failed)
    described = shop.client.batches.get(batch["batch_id"])
    assert described["failed_object_count"] == 2


def test_a_batch_in_which_nothing_succeeds_has_failed_and_can_be_retried(shop: Shop) -> None:
    batch, receipt = shop.process(shop.add([text_object(" "), text_object("\n")]))
    assert receipt["status"] == "FAILED"
    assert "None of the 2 objects became a document" in str(receipt["error_message"])
    assert receipt["error"] == receipt["error_message"]
    with pytest.raises(TaskFailedError, match="None of the 2 objects"):
        shop.client.tasks.wait(receipt["task_id"])
    described = shop.client.batches.get(batch["batch_id"])
    assert (described["status"], described["failure_category"]) == ("FAILED", "pipeline")

    again = shop.client.batches.retry(shop.bucket_id, batch["batch_id"])
    assert again["task_id"] != receipt["task_id"]
    assert again["additional_data"]["retry_of"] == receipt["task_id"]
    assert shop.ended(again)["status"] == "FAILED"
    described = shop.client.batches.get(batch["batch_id"])
    assert described["earlier_task_ids"] == [receipt["task_id"]]
    assert described["failed_object_count"] == 2


def test_a_second_run_leaves_each_document_once(shop: Shop) -> None:
    ids = shop.add(text_object(f"note {n}") for n in range(30))
    shop.process(ids)
    first = {row["object_id"]: row["document_id"] for row in shop.documents()}
    shop.process(ids)
    second = {row["object_id"]: row["document_id"] for row in shop.documents()}
    assert first == second
    assert len(second) == 30


def test_several_collections_read_one_batch(shop: Shop) -> None:
    prices = shop.client.collections.create(
        "prices",
        bucket_ids=[shop.bucket_id],
        feature_extractor={
            "feature_extractor_name": "tabular",
            "parameters": {"fields": ["price"]},
        },
    )
    ids = shop.add([text_object("priced", price=2.5), text_object("unpriced")])
    batch, receipt = shop.process(ids)
    assert receipt["outputs"][0]["documents"] == 3
    assert receipt["outputs"][0]["failed"] == 1
    [document] = shop.client.documents.list(prices["collection_id"], vectors=True)
    assert list(document["vectors"].values()) == [[2.5]]
    failed = list(shop.client.batches.failed_documents(shop.bucket_id, batch["batch_id"]))
    assert [(row["object_id"], row["collection_id"]) for row in failed] == [
        (ids[1], prices["collection_id"])
    ]


def test_texts_are_read_from_files_under_the_roots_and_from_nowhere_else(
    shop: Shop, stack: Stack
) -> None:
    root = stack.data_dir.parent / "files"
    (root / "note.txt").write_text("a text in a file")
    (stack.data_dir.parent / "secret.txt").write_text("not for you")
    (root / "link.txt").symlink_to(stack.data_dir.parent / "secret.txt")

    def by_url(name: str) -> dict[str, object]:
        url = f"file://{root}/{name}"
        return {"blobs": [{"property": "body", "type": "text", "url": url}]}

    ids = shop.add([by_url("note.txt"), by_url("link.txt"), by_url("missing.txt")])
    batch, receipt = shop.process(ids)
    assert receipt["outputs"][0]["succeeded"] == 1
    failed = list(shop.client.batches.failed_documents(shop.bucket_id, batch["batch_id"]))
    assert {row["object_id"] for row in failed} == set(ids[1:])
    assert all("not for you" not in str(row) for row in failed)
    answer = shop.client.objects.create_many(shop.bucket_id, [by_url("../secret.txt")])
    assert answer["succeeded_count"] == 0


def test_a_draft_takes_objects_until_it_is_submitted(shop: Shop) -> None:
    ids = shop.add([text_object("one"), text_object("two"), text_object("three")])
    batch = shop.batch(ids[:1])
    grown = shop.client.batches.add_objects(shop.bucket_id, batch["batch_id"], ids[:2])
    assert grown["object_count"] == 2
    grown = shop.client.batches.add_objects(shop.bucket_id, batch["batch_id"], filters={})
    assert grown["object_count"] == 3
    shop.ended(shop.submit(batch))
    with pytest.raises(ApiError) as refused:
        shop.client.batches.add_objects(shop.bucket_id, batch["batch_id"], ids)
    assert refused.value.status == 409


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"object_ids": ["obj_none"]}, 422, "obj_none"),
        ({"object_ids": [], "collection_ids": ["col_none"]}, 404, "col_none"),
        ({"object_ids": [], "filters": {}}, 422, "not both"),
        ({"objects": []}, 422, "objects"),
        ({"filters": {"$where": "1"}}, 422, "'$'"),
    ],
)
def test_a_wrong_batch_is_refused_and_leaves_nothing(
    shop: Shop, body: dict[str, object], status: int, words: str
) -> None:
    with pytest.raises(ApiError) as refused:
        shop.client.request("POST", f"/v1/buckets/{shop.bucket_id}/batches", body)
    assert refused.value.status == status
    assert words in str(refused.value)
    assert list(shop.client.batches.list(shop.bucket_id)) == []


def test_an_empty_batch_is_not_submitted(shop: Shop) -> None:
    batch = shop.batch([])
    with pytest.raises(ApiError) as refused:
        shop.submit(batch)
    assert refused.value.status == 422


def test_another_namespace_sees_nothing_of_it(shop: Shop, stack: Stack) -> None:
    batch, receipt = shop.process(shop.add([text_object("mine")]))
    task = f"/v1/tasks/{receipt['task_id']}"
    with Client(stack.api_url, stack.api_key) as other:
        for method, path in (
            ("GET", task),
            ("GET", f"{task}/history"),
            ("POST", f"{task}/kill"),
            ("DELETE", task),
            ("GET", shop.path(batch)),
            ("GET", f"/v1/batches/{batch['batch_id']}"),
            ("POST", f"{shop.path(batch)}/submit"),
            ("POST", f"{shop.path(batch)}/cancel"),
            ("POST", f"{shop.path(batch)}/retry"),
            ("GET", f"{shop.path(batch)}/failed-documents"),
        ):
            with pytest.raises(ApiError) as refused:
                other.request(method, path)
            assert refused.value.status == 404, (method, path)
        assert list(other.tasks.list(filters={"task_id": receipt["task_id"]})) == []


def test_tasks_are_listed_by_type_and_status_without_their_children(shop: Shop) -> None:
    _, receipt = shop.process(shop.add(text_object(f"n {n}") for n in range(150)))
    listed = shop.client.tasks.page(
        status="COMPLETED", task_type="api_buckets_batches_process", include_total=True
    )
    assert [task["task_id"] for task in listed["results"]] == [receipt["task_id"]]
    assert listed["pagination"]["total"] == 1
    assert len(list(shop.client.tasks.list(parent_task_id=receipt["task_id"]))) == 2
    assert list(shop.client.tasks.list(status="FAILED")) == []


def test_a_receipt_says_where_it_came_from_and_whether_it_changed(shop: Shop, stack: Stack) -> None:
    _, receipt = shop.process(shop.add([text_object("one")]))
    assert receipt["additional_data"]["from_mongodb"] is False
    headers = {
        "Authorization": f"Bearer {stack.api_key}",
        "X-Namespace": receipt["namespace_id"],
    }
    url = f"{stack.api_url}/v1/tasks/{receipt['task_id']}"
    answer = httpx.get(url, headers=headers)
    again = httpx.get(url, headers={**headers, "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert "Retry-After" not in answer.headers
