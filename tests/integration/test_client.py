"""Every method of both clients, against the real API."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from app.broker import JOBS_QUEUE
from app.receipts.job_type import JobType
from app.resources.extraction import FailedDocument, NewDocument, Origin
from app.stores import Stores
from tests.chaos.link import Link, Way
from tests.chaos.proxy import Proxy
from tests.integration.both_clients import KINDS, Kind, opened
from tests.integration.resources import SCHEMA, ClientMaker, thing
from tests.polling import poll
from waybill import ApiError, Client, ConnectError, TaskCanceledError, WaitTimeoutError, types

TYPE = "thumbnails_make"
EXTRACTOR = {"feature_extractor_name": "text", "input_mappings": {"text": "body"}}
WITHIN_S = 60.0


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return cast(Kind, request.param)


@pytest.fixture
def api_key(client_for: ClientMaker, stores: Stores) -> str:
    """An admin's key, and a task type that can be submitted."""
    stores.ledger.job_types.register([JobType(TYPE, JOBS_QUEUE, 3, True, True)])
    return str(client_for().headers["Authorization"].removeprefix("Bearer "))


@pytest.fixture
def waybill(kind: Kind, api_url: str, api_key: str) -> Iterator[Client]:
    """A client of each kind, in a namespace whose name is not ASCII."""
    with Client(api_url, api_key) as admin:
        admin.namespaces.create("größe")
    with opened(kind, api_url, api_key, namespace="größe") as client:
        yield client


@pytest.fixture
def link(api_url: str) -> Iterator[Link]:
    """A way to the API that can be cut."""
    proxy = Proxy()
    port = urlsplit(api_url).port
    assert port is not None
    yield proxy.open("api", port)
    proxy.close()


def check(found: object, *kinds: object) -> None:
    """The answer has the keys that its type promises, and no others."""
    assert isinstance(found, Mapping)
    promised: set[str] = set()
    optional: set[str] = set()
    for each in cast(tuple[Any, ...], kinds):
        promised |= each.__required_keys__
        optional |= each.__optional_keys__
    assert promised <= found.keys()
    assert found.keys() <= promised | optional


def test_callbacks(waybill: Client) -> None:
    url = "http://10.0.0.1/"
    for call in (
        lambda: waybill.tasks.submit(TYPE, webhook_url=url),
        lambda: waybill.batches.submit("any", "any", webhook_url=url),
        lambda: waybill.batches.retry("any", "any", webhook_url=url),
        lambda: waybill.clusters.execute("any", webhook_url=url),
        lambda: waybill.taxonomies.materialize("any", "any", webhook_url=url),
        lambda: waybill.migrations.create("copy", "any", "other", webhook_url=url),
    ):
        with pytest.raises(ApiError, match="the URL leads to an address") as caught:
            call()
        assert caught.value.status == 422
    accepted = waybill.tasks.submit(TYPE, webhook_url="https://example.com/waybill")
    assert accepted["status"] == "PENDING"


def test_tasks(waybill: Client) -> None:
    task = waybill.tasks.submit(TYPE, ["a.png"], additional_data={"n": 1}, idempotency_key="one")
    check(task, types.Task)
    assert (
        waybill.tasks.submit(TYPE, ["a.png"], additional_data={"n": 1}, idempotency_key="one")[
            "task_id"
        ]
        == (task["task_id"])
    )
    with pytest.raises(ApiError, match="no registered task type") as refused:
        waybill.tasks.submit("nonsense")
    assert (refused.value.status, refused.value.type) == (422, "ValidationError")
    found = waybill.tasks.get(task["task_id"])
    check(found, types.Task)
    assert (found["inputs"], found["additional_data"]["n"]) == (["a.png"], 1)
    assert waybill.tasks.suspend(task["task_id"], reason="night")["task"]["status"] == "SUSPENDED"
    answer = waybill.tasks.resume(task["task_id"])
    check(answer, types.TaskAnswer)
    assert answer["task"]["status"] == "PENDING"
    seen: list[types.Task] = []
    with pytest.raises(WaitTimeoutError) as late:
        waybill.tasks.wait(task["task_id"], timeout_s=3, on_poll=seen.append)
    assert late.value.receipt is not None
    assert late.value.receipt["status"] == seen[-1]["status"] == "PENDING"
    assert waybill.tasks.kill(task["task_id"], reason="wrong size")["success"]
    with pytest.raises(TaskCanceledError, match="key:test: wrong size"):
        waybill.tasks.wait(task["task_id"])
    history = waybill.tasks.history(task["task_id"])
    check(history[0], types.Transition)
    assert [entry["to"] for entry in history] == ["PENDING", "SUSPENDED", "PENDING", "CANCELED"]
    events = list(waybill.tasks.stream(task["task_id"]))
    assert [event["event"] for event in events] == ["transition"] * 4 + ["end"]
    check(events[0]["data"], types.TaskTransition)
    check(events[-1]["data"], types.Task)
    later = waybill.tasks.stream(task["task_id"], last_event_id="3")
    assert [event["id"] for event in later] == ["4", None]


def test_many_tasks_are_submitted_and_listed_over_all_pages(waybill: Client) -> None:
    tasks: list[types.NewTask] = [{"task_type": TYPE, "inputs": [n]} for n in range(12)]
    tasks[7] = {"task_type": "nonsense"}
    answer = waybill.tasks.submit_many(tasks, idempotency_key="many")
    check(answer, types.Partial)
    assert (answer["succeeded_count"], answer["failed_count"]) == (11, 1)
    [failed] = answer["failed"]
    check(failed, types.PartialFailure)
    assert failed["index"] == 7
    ids = [task["task_id"] for task in answer["succeeded"]]
    again = waybill.tasks.submit_many(tasks, idempotency_key="many")
    assert [task["task_id"] for task in again["succeeded"]] == ids

    listed = [task["task_id"] for task in waybill.tasks.list(task_type=TYPE, page_size=4)]
    assert sorted(listed) == sorted(ids)
    assert [task["task_id"] for task in islice(waybill.tasks.list(), 3)] == listed[:3]
    page = waybill.tasks.page(status="PENDING", page_size=2, include_total=True)
    check(page, types.Page)
    check(page["pagination"], types.Pagination)
    assert page["pagination"]["total"] == 11
    cursor = page["pagination"]["next_cursor"]
    following = waybill.tasks.page(status="PENDING", page_size=2, cursor=cursor)
    assert following["results"][0]["task_id"] == listed[2]
    one = {"field": "task_id", "operator": "eq", "value": ids[0]}
    by_age = {"field": "created_at", "direction": "asc"}
    assert len(list(waybill.tasks.list(filters={"AND": [one]}, sort=by_age))) == 1
    assert list(waybill.tasks.list(search="nonsense")) == []
    killing = waybill.tasks.kill_many(task_type=TYPE, reason="too many")
    assert killing["task_type"] == "api_tasks_kill"


def test_namespaces(waybill: Client) -> None:
    made = waybill.namespaces.create("shop", description="d", metadata={"a": 1})
    check(made, types.Namespace)
    assert waybill.namespaces.get("shop")["namespace_id"] == made["namespace_id"]
    names = {each["namespace_name"] for each in waybill.namespaces.list(page_size=1)}
    assert names == {"default", "größe", "shop"}
    assert len(waybill.namespaces.page()["results"]) == 3
    changed = waybill.namespaces.change("shop", description=None)
    assert (changed["description"], changed["metadata"]) == (None, {"a": 1})
    check(waybill.namespaces.delete("shop"), types.Removed)
    with pytest.raises(ApiError) as refused:
        waybill.namespaces.get("shop")
    assert refused.value.status == 404
    assert refused.value.request_id is not None


def test_buckets_and_objects(waybill: Client) -> None:
    bucket = waybill.buckets.create(
        "things", bucket_schema=SCHEMA, unique_key="sku", description="d", metadata={"a": 1}
    )
    check(bucket, types.Bucket)
    assert waybill.buckets.get("things") == bucket
    assert [each["bucket_id"] for each in waybill.buckets.list()] == [bucket["bucket_id"]]
    assert waybill.buckets.page()["results"] == [bucket]
    assert waybill.buckets.change("things", metadata={"b": 2})["metadata"] == {"b": 2}

    blob: types.NewBlob = {"property": "body", "type": "text", "data": "hello"}
    made = waybill.objects.create("things", blobs=[blob], key_prefix="k", fields={"sku": "1"})
    check({k: v for k, v in made.items() if k != "sku"}, types.StoredObject)
    object_id = made["object_id"]
    many = waybill.objects.create_many("things", [thing(sku="1"), thing(sku="2")])
    assert [failed["index"] for failed in many["failed"]] == [0]
    assert many["succeeded"][0].get("object_index") == 1
    whole = waybill.objects.get("things", object_id)
    check(whole["blobs"][0], types.Blob)
    assert whole["blobs"][0]["data"] == "hello"
    assert len(list(waybill.objects.list("things", page_size=1))) == 2
    assert len(waybill.objects.page("things", filters={"sku": "2"})["results"]) == 1
    for found in list(waybill.objects.list("things")):
        assert waybill.objects.delete("things", found["object_id"])["success"]
    check(waybill.buckets.delete("things"), types.Removed)


def test_collections_batches_and_documents(waybill: Client, stores: Stores) -> None:
    bucket = waybill.buckets.create("texts", bucket_schema=SCHEMA)
    collection = waybill.collections.create(
        "vectors", bucket_ids=["texts"], feature_extractor=EXTRACTOR, metadata={"a": 1}
    )
    check(collection, types.Collection)
    source = {"type": "bucket", "bucket_ids": ["texts"]}
    waybill.collections.create("more", source=source, feature_extractor=EXTRACTOR)
    with pytest.raises(ValueError, match="bucket_ids or source"):
        waybill.collections.create("less", feature_extractor="text")
    assert waybill.collections.get("vectors") == collection
    assert len(list(waybill.collections.list(page_size=1))) == 2
    assert len(waybill.collections.page(page_size=1)["results"]) == 1
    assert waybill.collections.change("more", description="m")["description"] == "m"
    assert waybill.collections.delete("more")["success"]

    ids = [waybill.objects.create("texts", **thing(f"text {n}"))["object_id"] for n in range(3)]
    batch = waybill.batches.create("texts", object_ids=ids[:1], batch_name="b", metadata={"a": 1})
    check(batch, types.Batch)
    batch_id = batch["batch_id"]
    assert waybill.batches.add_objects("texts", batch_id, ids[:2])["object_count"] == 2
    assert waybill.batches.add_objects("texts", batch_id, filters={})["object_count"] == 3
    task = waybill.batches.submit("texts", batch_id)
    assert waybill.batches.submit("texts", batch_id)["task_id"] == task["task_id"]
    canceled = waybill.batches.cancel("texts", batch_id, reason="enough")
    assert (canceled["task_id"], canceled["status"]) == (task["task_id"], "CANCELED")
    again = waybill.batches.retry("texts", batch_id)
    assert again["additional_data"]["retry_of"] == task["task_id"]
    for found in (
        waybill.batches.get(batch_id),
        waybill.batches.get(batch_id, bucket="texts"),
        *waybill.batches.list("texts"),
        *waybill.batches.page("texts")["results"],
    ):
        assert (found["batch_id"], found["task_id"]) == (batch_id, again["task_id"])

    _process(stores, collection, bucket, batch_id, ids)
    [failed] = waybill.batches.failed_documents("texts", batch_id)
    check(failed, types.FailedDocument)
    documents = list(waybill.documents.list("vectors", page_size=1, vectors=True))
    assert len(documents) == 2
    check(documents[0], types.Document)
    assert len(waybill.documents.page("vectors", filters={"object_id": ids[0]})["results"]) == 1
    document = waybill.documents.get("vectors", documents[0]["document_id"], vectors=True)
    assert document == documents[0]
    assert document["vectors"]["text"] == [1.0, 2.0]
    assert waybill.documents.count("vectors") == 2
    assert waybill.documents.count("vectors", filters={"object_id": ids[0]}) == 1
    [group] = waybill.documents.aggregate("vectors", [{"function": "count", "alias": "n"}])
    check(group, types.Group)
    assert group["metrics"] == {"n": 2}


def _process(
    stores: Stores,
    collection: types.Collection,
    bucket: types.Bucket,
    batch_id: str,
    ids: list[str],
) -> None:
    """Two documents and a failure, as a batch writes them."""
    origin = Origin(bucket["namespace_id"], bucket["bucket_id"], batch_id, "tsk_1", 1)
    vector = np.array([1, 2], dtype=np.float32)
    documents = [
        NewDocument(collection["collection_id"], one, "text", vector, {"n": 1}, {})
        for one in ids[:2]
    ]
    failure = FailedDocument(collection["collection_id"], ids[2], "no_features", "It is empty.")
    stores.extractions.write(origin, ids, documents, [failure])


def test_taxonomies(waybill: Client) -> None:
    waybill.buckets.create("texts", bucket_schema=SCHEMA)
    waybill.collections.create("vectors", bucket_ids=["texts"], feature_extractor=EXTRACTOR)
    config = {"source_collection": "vectors", "threshold": 0.2}
    made = waybill.taxonomies.create("topics", config, description="d", metadata={"a": 1})
    check(made, types.Taxonomy)
    taxonomy_id = made["taxonomy_id"]
    assert waybill.taxonomies.get("topics", version=1) == {**made, "materializations": []}
    assert waybill.taxonomies.add_version("topics", {**config, "top_k": 2})["version"] == 2
    versions = waybill.taxonomies.versions(taxonomy_id)
    check(versions, types.Page)
    assert [each["version"] for each in versions["results"]] == [2, 1]
    changed = waybill.taxonomies.change("topics", taxonomy_name="themes", description=None)
    assert (changed["taxonomy_name"], changed["description"]) == ("themes", None)
    assert [each["taxonomy_id"] for each in waybill.taxonomies.list()] == [taxonomy_id]
    assert len(waybill.taxonomies.page(search="them")["results"]) == 1
    trial = waybill.taxonomies.execute("themes", [{"body": "a"}], collection="vectors", version=1)
    check(trial, types.Trial)
    check(trial["results"][0], types.TrialResult)
    task = waybill.taxonomies.materialize("themes", "vectors", filters={"fields.price": 1})
    assert task["task_type"] == "api_taxonomies_materialize"
    (row,) = waybill.taxonomies.get("themes").get("materializations", [])
    check(row, types.Materialization)
    waybill.tasks.kill(task["task_id"])
    assert waybill.taxonomies.delete("themes")["success"]


def test_keys_open_what_they_say_and_no_more(waybill: Client, api_url: str) -> None:
    key = waybill.keys.create("ci", "read", namespaces=["größe"], rate_limit_per_minute=600)
    check(key, types.NewKey)
    with Client(api_url, key["secret"], namespace="größe") as reader:
        assert list(reader.tasks.list()) == []
        with pytest.raises(ApiError) as refused:
            reader.tasks.submit(TYPE)
        assert (refused.value.status, refused.value.type) == (403, "ForbiddenError")
        fresh = waybill.keys.rotate(key["key_id"])
        assert fresh["secret"] != key["secret"]
    check(waybill.keys.get(key["key_id"]), types.Key)
    assert {each["name"] for each in waybill.keys.list(page_size=1)} == {"test", "ci"}
    assert len(waybill.keys.page()["results"]) == 2
    assert waybill.keys.change(key["key_id"], name="cd")["name"] == "cd"
    answer = waybill.keys.revoke(key["key_id"])
    check(answer, types.KeyAnswer)
    assert answer["key"]["status"] == "ARCHIVED"
    with Client(api_url, fresh["secret"]) as revoked, pytest.raises(ApiError) as refused:
        revoked.tasks.page()
    assert refused.value.status == 401


def test_health_and_what_has_no_method(waybill: Client) -> None:
    health = waybill.health()
    check(health, types.Health)
    check(health["components"]["mongodb"], types.Component)
    bucket = waybill.request("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": SCHEMA})
    listed = waybill.request("GET", "/v1/buckets", params={"limit": 5, "include_total": True})
    assert [each["bucket_id"] for each in listed["results"]] == [bucket["bucket_id"]]
    assert waybill.request("GET", "/v1/buckets?limit=5")["results"] == listed["results"]


def test_a_create_whose_answer_was_lost_makes_one_thing(
    kind: Kind, link: Link, api_url: str, api_key: str
) -> None:
    direct = Client(api_url, api_key)
    with opened(kind, f"http://127.0.0.1:{link.port}", api_key) as client, direct:
        client.health()
        link.hush(Way.DOWN)  # the connection that is open carries no answer any more
        created: Future[types.Bucket] = Future()

        def create() -> None:
            created.set_result(client.buckets.create("once", bucket_schema=SCHEMA))

        thread = threading.Thread(target=create)
        thread.start()
        [bucket] = poll(
            lambda: list(direct.buckets.list()), description="it is stored", within_s=WITHIN_S
        )
        link.cut(reset=True)
        assert created.result(WITHIN_S)["bucket_id"] == bucket["bucket_id"]
        thread.join(WITHIN_S)
        assert len(list(direct.buckets.list())) == 1


def test_a_stream_goes_on_after_a_cut(kind: Kind, link: Link, api_url: str, api_key: str) -> None:
    direct = Client(api_url, api_key)
    with opened(kind, f"http://127.0.0.1:{link.port}", api_key) as client, direct:
        task_id = client.tasks.submit(TYPE)["task_id"]
        events = client.tasks.stream(task_id)
        assert next(events)["id"] == "1"
        link.cut(reset=True)
        direct.tasks.suspend(task_id)
        assert next(events)["id"] == "2"
        link.cut(reset=False)
        direct.tasks.kill(task_id)
        rest = [(event["event"], event["id"]) for event in events]
        assert rest == [("transition", "3"), ("end", None)]


def test_a_stream_that_is_left_closes_its_connection(kind: Kind, link: Link, api_key: str) -> None:
    with opened(kind, f"http://127.0.0.1:{link.port}", api_key) as client:
        task_id = client.tasks.submit(TYPE)["task_id"]
        for event in client.tasks.stream(task_id):
            assert event["id"] == "1"
            break
    poll(lambda: link.connections == 0, description="nothing is open", within_s=WITHIN_S)


def test_threads_share_a_client(api_url: str, api_key: str) -> None:
    with Client(api_url, api_key) as client, ThreadPoolExecutor(8) as pool:
        names = [f"bucket {n}" for n in range(24)]
        made = pool.map(lambda name: client.buckets.create(name, bucket_schema=SCHEMA), names)
        assert [bucket["bucket_name"] for bucket in made] == names


def test_where_no_waybill_answers_one_sentence_says_so(
    kind: Kind, link: Link, api_url: str, api_key: str
) -> None:
    with opened(kind, f"{api_url}/docs", api_key) as client, pytest.raises(ApiError) as wrong:
        client.tasks.get("tsk_1")
    assert wrong.value.status == 404
    with opened(kind, "http://127.0.0.1:1", api_key, max_tries=1) as client:
        with pytest.raises(ConnectError) as away:
            client.health()
        assert "No server answers at http://127.0.0.1:1" in str(away.value)
    assert httpx.get(f"{api_url}/v1/health").is_success
