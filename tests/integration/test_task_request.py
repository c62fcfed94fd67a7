"""Each receipt that a request made names the request."""

import httpx
from pymongo.database import Database

from app.database import Document
from tests.integration.resources import Json, made, make_bucket, make_object
from tests.integration.test_idempotency import register_type

FIELDS = ["price"]


def post(client: httpx.Client, path: str, request_id: str, body: Json) -> Json:
    answer = client.post(path, json=body, headers={"X-Request-ID": request_id})
    assert answer.headers["x-request-id"] == request_id
    return made(answer)


def request_id_of(client: httpx.Client, task: Json) -> object:
    return made(client.get(f"/v1/tasks/{task['task_id']}"))["additional_data"]["request_id"]


def test_each_receipt_names_its_request(client: httpx.Client, database: Database[Document]) -> None:
    bucket = make_bucket(client)
    stored = make_object(client, bucket, price=1.0)
    source = {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
    extractor = {"feature_extractor_name": "tabular", "parameters": {"fields": FIELDS}}
    body = {"collection_name": "c", "source": source, "feature_extractor": extractor}
    made(client.post("/v1/collections", json=body))
    batches = f"/v1/buckets/{bucket['bucket_id']}/batches"
    batch = made(client.post(batches, json={"object_ids": [stored["object_id"]]}))
    path = f"{batches}/{batch['batch_id']}"

    first = post(client, f"{path}/submit", "req-submit", {})
    assert request_id_of(client, first) == "req-submit"
    made(client.post(f"{path}/cancel"))
    assert request_id_of(client, post(client, f"{path}/retry", "req-retry", {})) == "req-retry"
    assert request_id_of(client, first) == "req-submit"

    register_type(database, "test_job")
    own = {"request_id": "mine", "colour": "red"}  # the request's is the one that counts
    tasks = [{"task_type": "test_job", "additional_data": own}, {"task_type": "test_job"}]
    for task in post(client, "/v1/tasks/submit", "req-tasks", {"tasks": tasks})["succeeded"]:
        assert request_id_of(client, task) == "req-tasks"
    killing = post(client, "/v1/tasks/kill", "req-kill", {"task_type": "test_job"})
    assert request_id_of(client, killing) == "req-kill"


def test_a_request_without_an_id_gets_one(
    client: httpx.Client, database: Database[Document]
) -> None:
    register_type(database, "test_job")
    answer = client.post("/v1/tasks/submit", json={"tasks": [{"task_type": "test_job"}]})
    (task,) = made(answer)["succeeded"]
    assert request_id_of(client, task) == answer.headers["x-request-id"]
