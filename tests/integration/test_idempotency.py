"""One effect and one answer for each Idempotency-Key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from app.access.idempotency import Claimed, IdempotencyStore, Kept, Refused
from app.access.permission import Permission
from app.database import Document
from app.receipts.job_type import JobType, JobTypeStore
from tests.integration.resources import ClientMaker, error, made, make_bucket, thing

ID_NAMES = ("task_id", "object_id", "batch_id", "bucket_id")
BODY = {"bucket_name": "b", "bucket_schema": {"properties": {}}}


def post(client: httpx.Client, key: str, body: Any = BODY, path: str = "/v1/buckets") -> Any:
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def test_the_same_request_has_one_effect(client: httpx.Client) -> None:
    first = post(client, "k")
    again = post(client, "k", dict(reversed(BODY.items())))
    assert made(first) == made(again)
    assert first.status_code == again.status_code
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(made(client.post("/v1/buckets/list"))["results"]) == 1


def test_another_body_under_the_same_key_is_refused(client: httpx.Client) -> None:
    assert post(client, "k").is_success
    found = error(post(client, "k", {**BODY, "bucket_name": "c"}), 409, "AlreadyExistsError")
    assert "another body" in found["message"]


def test_keys_are_apart_by_caller_namespace_and_path(client_for: ClientMaker) -> None:
    admin = client_for()
    created = made(post(admin, "k", {"namespace_name": "other"}, "/v1/namespaces"))
    mine = made(post(admin, "k"))
    theirs = made(post(client_for(namespace=created["namespace_id"]), "k"))
    assert mine["bucket_id"] != theirs["bucket_id"]
    error(post(client_for(Permission.WRITE), "k"), 409, "AlreadyExistsError")  # the name is taken


def test_a_failed_request_frees_its_key(client: httpx.Client) -> None:
    error(post(client, "k", {"bucket_name": "b"}), 422, "ValidationError")
    made(post(client, "k"))
    error(post(client, "l"), 409, "AlreadyExistsError")
    assert client.delete("/v1/buckets/b").is_success
    made(post(client, "l"))


def test_a_key_is_bounded(client: httpx.Client) -> None:
    for key in ("", "a b", "x" * 256, "é"):
        headers = {b"Idempotency-Key": key.encode()}
        error(client.post("/v1/buckets", json=BODY, headers=headers), 422, "ValidationError")


def test_a_key_does_not_replace_a_permission(client_for: ClientMaker) -> None:
    error(post(client_for(Permission.READ), "k"), 403, "ForbiddenError")


def test_of_many_at_once_one_runs(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    path = f"/v1/buckets/{bucket['bucket_id']}/objects"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(client, "k", thing(), path), range(16)))
    succeeded = {made(answer)["object_id"] for answer in answers if answer.is_success}
    assert len(succeeded) == 1
    for answer in answers:
        if not answer.is_success:
            found = error(answer, 409, "AlreadyExistsError")
            assert "in progress" in found["message"]
            assert found["details"] == {"idempotency": "in_progress"}
            assert answer.headers["Retry-After"] == "1"
    assert made(client.get(path, params={"include_total": True}))["pagination"]["total"] == 1


def test_an_abandoned_claim_is_taken_over(database: Database[Document]) -> None:
    store = IdempotencyStore(database)
    lost = store.claim("e", "content")
    assert isinstance(lost, Claimed)
    assert store.claim("e", "content") is Refused.STILL_RUNNING
    assert store.claim("e", "other") is Refused.OTHER_CONTENT
    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    database["idempotency"].update_one({}, {"$set": {"claimed_at": long_ago}})
    assert store.claim("e", "other") is Refused.OTHER_CONTENT
    taken = store.claim("e", "content")
    assert isinstance(taken, Claimed)
    assert taken.seed == lost.seed
    store.keep("e", lost.token, Kept(500, b"late"))
    store.release("e", lost.token)
    assert store.claim("e", "content") is Refused.STILL_RUNNING
    store.keep("e", taken.token, Kept(200, b"answer"))
    store.release("e", taken.token)
    assert store.claim("e", "content") == Kept(200, b"answer")


def test_an_answer_is_kept_for_a_day(database: Database[Document]) -> None:
    store = IdempotencyStore(database)
    store.ensure_indexes()
    claimed = store.claim("e", "content")
    assert isinstance(claimed, Claimed)
    store.keep("e", claimed.token, Kept(200, b"answer"))
    yesterday = datetime.now(UTC) - timedelta(hours=24, seconds=1)
    database["idempotency"].update_one({}, {"$set": {"created_at": yesterday}})
    renewed = store.claim("e", "other")
    assert isinstance(renewed, Claimed)
    assert renewed.seed != claimed.seed
    (index,) = (
        index for index in database["idempotency"].list_indexes() if "expireAfterSeconds" in index
    )
    assert index["expireAfterSeconds"] == 24 * 3600


def test_a_released_key_keeps_its_seed_for_the_same_content_only(
    database: Database[Document],
) -> None:
    store = IdempotencyStore(database)
    first = store.claim("e", "content")
    assert isinstance(first, Claimed)
    store.release("e", first.token)
    again = store.claim("e", "content")
    assert isinstance(again, Claimed)
    assert again.seed == first.seed
    store.release("e", again.token)
    other = store.claim("e", "other")
    assert isinstance(other, Claimed)
    assert other.seed != first.seed


@pytest.mark.parametrize("path", ["tasks", "objects", "objects/batch", "batches", "buckets"])
def test_a_request_whose_answer_was_never_kept_has_one_effect(
    client: httpx.Client, database: Database[Document], path: str
) -> None:
    bucket = f"/v1/buckets/{make_bucket(client)['bucket_id']}"
    register_type(database, "test_job")
    url, body, collection = {
        "tasks": ("/v1/tasks/submit", {"tasks": [{"task_type": "test_job"}] * 3}, "tasks"),
        "objects": (f"{bucket}/objects", thing(), "objects"),
        "objects/batch": (f"{bucket}/objects/batch", {"objects": [thing(), thing()]}, "objects"),
        "batches": (f"{bucket}/batches", {"batch_name": "b"}, "batches"),
        "buckets": ("/v1/buckets", {**BODY, "bucket_name": "another"}, "buckets"),
    }[path]
    first = made(post(client, "k", body, url))
    count = database[collection].count_documents({})
    forget_answers(database)
    repeated = post(client, "k", body, url)
    assert "idempotent-replayed" not in repeated.headers
    assert database[collection].count_documents({}) == count
    assert ids_of(made(repeated)) == ids_of(first)


def test_a_repeat_adds_what_was_refused_at_first_and_doubles_nothing(
    client: httpx.Client, database: Database[Document]
) -> None:
    register_type(database, "test_known")
    url = "/v1/tasks/submit"
    body = {"tasks": [{"task_type": "test_late"}, {"task_type": "test_known"}]}
    first = made(post(client, "k", body, url))
    forget_answers(database)
    register_type(database, "test_late")
    repeated = made(post(client, "k", body, url))
    types = [task["task_type"] for task in repeated["succeeded"]]
    assert types == ["test_late", "test_known"]
    assert ids_of(repeated)[1:] == ids_of(first)
    assert database["tasks"].count_documents({}) == len(types)


def test_a_retry_that_is_repeated_gives_its_own_task(
    client: httpx.Client, database: Database[Document]
) -> None:
    bucket = make_bucket(client)
    path = f"/v1/buckets/{bucket['bucket_id']}"
    stored = made(client.post(f"{path}/objects", json=thing()))
    source = {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
    extractor = {"feature_extractor_name": "tabular", "parameters": {"fields": ["price"]}}
    collection = {"collection_name": "c", "source": source, "feature_extractor": extractor}
    made(client.post("/v1/collections", json=collection))
    batch = made(client.post(f"{path}/batches", json={"object_ids": [stored["object_id"]]}))
    batch_path = f"{path}/batches/{batch['batch_id']}"
    task = made(client.post(f"{batch_path}/submit", json={}))
    made(client.post(f"/v1/tasks/{task['task_id']}/kill"))
    first = made(post(client, "k", {}, f"{batch_path}/retry"))
    forget_answers(database)
    again = made(post(client, "k", {}, f"{batch_path}/retry"))
    assert again["task_id"] == first["task_id"] != task["task_id"]
    error(post(client, "l", {}, f"{batch_path}/retry"), 409, "AlreadyExistsError")


def forget_answers(database: Database[Document]) -> None:
    """As when the API dies after the effect: the claims are there, the answers are not."""
    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    database["idempotency"].update_many({}, {"$set": {"status": None, "claimed_at": long_ago}})


def register_type(database: Database[Document], name: str) -> None:
    kind = JobType(name, "test.jobs", max_attempts=1, submittable=True, suspendable=False)
    JobTypeStore(database).register([kind])


def ids_of(answer: Any) -> list[str]:
    """The ids of what was made, of a single resource or of a bulk."""
    found = answer.get("succeeded", [answer])
    return [each[name] for each in found for name in each if name in ID_NAMES]
