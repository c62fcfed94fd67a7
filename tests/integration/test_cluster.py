"""Clusters through the API, and their stores, where no worker runs."""

import json
from collections.abc import Sequence
from typing import Any, Final

import httpx
import numpy as np
import pytest
from bson.binary import Binary, BinaryVectorDtype
from pymongo.database import Database

from app.clusters.definition import AttributeConfig
from app.clusters.finding import Assignment, FindingStore, members_of, steps
from app.clusters.reading import Selection
from app.clusters.source import find_source
from app.database import Document
from app.errors import PermanentError
from app.resources.collection import Collection
from app.resources.extractor import Limits
from app.stores import Stores
from tests.integration.clusters import PICTURE, cluster_body, complete, execute
from tests.integration.resources import (
    Json,
    collection_body,
    error,
    made,
    make_bucket,
    make_collection,
    places,
)
from workers.jobs.attribute_cluster import AttributeClustering
from workers.jobs.vector_cluster import Watcher

QUIET: Final = Watcher(lambda _: None, lambda *_: None)


@pytest.fixture
def bucket(client: httpx.Client) -> Json:
    return make_bucket(client)


@pytest.fixture
def collection(client: httpx.Client, bucket: Json) -> Json:
    return make_collection(client, bucket)


@pytest.fixture
def cluster(client: httpx.Client, collection: Json) -> Json:
    return made(client.post("/v1/clusters", json=cluster_body(collection["collection_id"])))


def tabular(client: httpx.Client, bucket: Json, *fields: str) -> Json:
    """A collection of numbers beside the one of texts."""
    extractor = {"feature_extractor_name": "tabular", "parameters": {"fields": list(fields)}}
    body = {**collection_body(bucket, "-".join(fields)), "feature_extractor": extractor}
    return made(client.post("/v1/collections", json=body))


def test_a_cluster_from_its_beginning_to_its_end(
    client: httpx.Client, cluster: Json, collection: Json
) -> None:
    assert (cluster["status"], cluster["last_run_id"]) == ("DRAFT", None)
    assert (
        cluster["collection_ids"] == cluster["input_collections"] == [collection["collection_id"]]
    )
    config = cluster["vector_config"]
    assert config["algorithm_params"] == cluster["algorithm_params"]
    kept = {name: config["algorithm_params"][name] for name in ("n_clusters", "n_init", "tol")}
    assert kept == {"n_clusters": 8, "n_init": 10, "tol": 1e-4}
    assert made(client.get("/v1/clusters/topics")) == cluster
    clash = client.post("/v1/clusters", json=cluster_body(collection["collection_id"]))
    assert "'topics'" in error(clash, 409, "AlreadyExistsError")["message"]

    patch = {
        "cluster_name": "themes",
        "description": "What it is about",
        "algorithm_params": {"n_clusters": 3},
        "sample_size": 50,
        "filters": {"fields.price": 3.5},
    }
    changed = made(client.patch("/v1/clusters/topics", json=patch))
    assert (changed["cluster_name"], changed["sample_size"]) == ("themes", 50)
    assert changed["algorithm_params"]["n_clusters"] == 3
    assert changed["filters"] == patch["filters"]
    wrong = {"algorithm_params": {"n_clusters": 1}}
    refused = error(client.patch("/v1/clusters/themes", json=wrong), 422, "ValidationError")
    assert places(refused) == [["body", "algorithm_params", "n_clusters"]]
    listed = made(client.post("/v1/clusters/list", json={"filters": {"algorithm": "kmeans"}}))
    assert (listed["results"], listed["total_count"]) == ([changed], 1)
    assert made(client.get("/v1/clusters?search=about"))["results"] == [changed]

    made(client.delete("/v1/clusters/themes"))
    error(client.get("/v1/clusters/themes"), 404, "NotFoundError")


WRONG_CONFIGS: Final[Sequence[tuple[Json, list[Any], str]]] = (
    ({"clustering_method": "leiden"}, ["clustering_method"], "kmeans"),
    ({"algorithm_params": {"n_clusters": 0}}, ["algorithm_params", "n_clusters"], "from 2"),
    ({"kmeans_parameters": {"n_clusters": "3"}}, ["algorithm_params", "n_clusters"], "whole"),
    ({"kmeans_parameters": {}, "algorithm_params": {}}, [], "said twice"),
    ({"dbscan_parameters": {"eps": 1.0}}, [], "another method"),
    ({"feature_uris": ["image"]}, ["feature_uris", 0], "'image'"),
    ({"feature_uris": ["text", "own://text@v1/text"]}, [], "twice"),
    ({"feature_uri": "text"}, [], "feature_uris"),
    ({"sample_size": 1}, ["sample_size"], "2"),
    ({"multi_feature_strategy": "weighted"}, [], "a weight for each"),
    ({"feature_weights": {"image": 1.0}}, [], "no feature here"),
    ({"feature_weights": {"text": 1.0, "v1/text": 2.0}}, [], "a feature twice"),
    ({"hierarchical": True}, ["hierarchical"], "False"),
    ({"preprocessing_steps": []}, ["preprocessing_steps"], "not"),
)


def test_what_a_config_must_not_say(client: httpx.Client, collection: Json) -> None:
    for config, place, word in WRONG_CONFIGS:
        body = cluster_body(collection["collection_id"], **config)
        found = error(client.post("/v1/clusters", json=body), 422, "ValidationError")
        assert places(found) == [["body", "vector_config", *place]], config
        assert word in str(found["details"]), config


def test_other_refusals(client: httpx.Client, bucket: Json, collection: Json) -> None:
    good = cluster_body(collection["collection_id"])
    by_values = {"attributes": ["price", "fields.price"]}
    for change, place in (
        ({"cluster_name": "clust_1"}, ["body", "cluster_name"]),
        ({"collection_ids": ["nothing"]}, ["body", "collection_ids", 0]),
        ({"filters": {"price": 1}}, ["body", "filters", "price"]),
        ({"llm_labeling": {"enabled": False}}, ["body", "llm_labeling"]),
        ({"enrich_source_collection": True}, ["body", "enrich_source_collection"]),
        ({"cluster_type": "attribute"}, ["body"]),
        ({"attribute_config": {"attributes": ["price"]}}, ["body"]),
        (
            {"attribute_config": by_values, "vector_config": None, "cluster_type": "attribute"},
            ["body", "attribute_config", "attributes"],
        ),
    ):
        answer = client.post("/v1/clusters", json={**good, **change})
        assert places(error(answer, 422, "ValidationError")) == [place], change
    narrow, wide = tabular(client, bucket, "price"), tabular(client, bucket, "price", "sku")
    for others, word in (([narrow], "none of the features"), ([narrow, wide], "must agree")):
        ids = [each["collection_id"] for each in others]
        feature = "text" if len(others) == 1 else "tabular"
        ids = [*ids, collection["collection_id"]] if feature == "text" else ids
        body = {**cluster_body("", feature_uris=[feature]), "collection_ids": ids}
        found = error(client.post("/v1/clusters", json=body), 422, "ValidationError")
        assert word in str(found["details"])
    body = cluster_body(collection["collection_id"], feature_uris=["text", "tabular"])
    body["collection_ids"] = [each["collection_id"] for each in (narrow, wide, collection)]
    found = error(client.post("/v1/clusters", json=body), 422, "ValidationError")
    assert "lies in one collection" in str(found["details"])


def test_a_text_that_is_no_unicode_is_refused(client: httpx.Client, collection: Json) -> None:
    """JSON can carry a lone surrogate in; no store can hold it."""
    strange = r"\ud800"
    parameters: Json = {"algorithm_params": {"STRANGE": 1}}
    for body in (cluster_body("STRANGE"), cluster_body(collection["collection_id"], **parameters)):
        sent = json.dumps(body).replace("STRANGE", strange)
        answer = client.post(
            "/v1/clusters", content=sent, headers={"Content-Type": "application/json"}
        )
        error(answer, 422, "ValidationError")


def test_the_public_clients_ways_of_saying_it(client: httpx.Client, collection: Json) -> None:
    """Parameters under the method's name, with every default, and the feature by its URI."""
    config: Json = {
        "feature_uri": "mixpeek://text_extractor@v1/text",
        "feature_uris": None,
        "clustering_method": "dbscan",
        "dbscan_parameters": {"eps": 0.25, "n_jobs": 1, "metric": "euclidean", "p": 2},
        "output_strategy": "single",
        "effective_feature_method": "mean",
        "max_hierarchy_depth": 3,
        "vis_n_components": 2,
    }
    body = cluster_body(collection["collection_id"], **config)
    stored = made(client.post("/v1/clusters", json=body))
    assert stored["vector_config"]["feature_uris"] == [config["feature_uri"]]
    assert stored["algorithm_params"]["eps"] == 0.25


def test_executions_are_tasks(
    client: httpx.Client, cluster: Json, stores: Stores, database: Database[Document]
) -> None:
    base = f"/v1/clusters/{cluster['cluster_id']}"
    latest = client.get(f"{base}/executions")
    assert (latest.status_code, latest.json()) == (200, None)
    error(client.get(f"{base}/groups"), 404, "NotFoundError")
    error(client.post(f"{base}/execute", json={"mode": "assign"}), 422, "ValidationError")

    key = {"Idempotency-Key": "once"}
    asked = {"filters": {"fields.price": 3.5}, "sample_size": 10}
    first = made(client.post(f"{base}/execute", json=asked, headers=key))
    assert made(client.post(f"{base}/execute", json=asked, headers=key)) == first
    assert (first["task_type"], first["status"]) == ("engine_cluster_build", "PENDING")
    run_id = first["additional_data"]["run_id"]
    assert first["inputs"] == [cluster["cluster_id"], run_id]
    shown = made(client.get(f"{base}/executions/{run_id}"))
    assert shown == made(client.get(f"{base}/executions"))
    assert (shown["status"], shown["num_points"], shown["centroids"]) == ("PENDING", 0, None)
    assert shown["definition"]["filters"] == [asked["filters"]]
    assert shown["definition"]["vector_config"]["sample_size"] == 10
    assert made(client.get(base))["status"] == "PENDING"
    for path in ("groups", "visualization", "visualization.svg"):
        error(client.get(f"{base}/{path}?run_id={run_id}"), 404, "NotFoundError")
    error(client.delete(base), 409, "AlreadyExistsError")

    canceled = made(client.post(f"{base}/executions/{run_id}/cancel", json={"reason": "no"}))
    assert canceled["status"] == made(client.get(base))["status"] == "CANCELED"
    made(client.post(f"{base}/execute"))
    for status, count in (("CANCELED", 1), ("PENDING", 1), ("COMPLETED", 0)):
        page = made(client.post(f"{base}/executions/list", json={"status": status}))
        assert page["total_count"] == len(page["results"]) == count
    assert stores.cluster_runs.settle() == 1
    database["tasks"].delete_one({"_id": first["task_id"]})
    assert made(client.get(f"{base}/executions/{run_id}"))["status"] == "CANCELED"


def test_what_an_execution_found_is_shown(
    client: httpx.Client, cluster: Json, collection: Json, database: Database[Document]
) -> None:
    base = f"/v1/clusters/{cluster['cluster_id']}"
    older, newer = execute(client, cluster), execute(client, cluster)
    members = ["doc_a", "doc_b", "doc_c"]
    newest = complete(database, newer, members, collection["collection_id"])
    before = complete(database, older, members[:1], collection["collection_id"])
    described = made(client.get(base))
    assert (described["last_run_id"], described["num_clusters"]) == (newest, 2)

    groups = made(client.get(f"{base}/groups", params={"include_centroids": True}))
    assert (groups["run_id"], groups["total_groups"], groups["noise_count"]) == (newest, 2, 1)
    assert groups["groups"][1]["centroid"] == [1.0, 1.0]
    assert made(client.get(f"{base}/groups?run_id={before}"))["run_id"] == before
    execution = made(client.get(f"{base}/executions/{newest}"))
    assert execution["centroids"][0]["representative_ids"][0]["document_id"] == "doc_a"

    path = f"{base}/executions/{newest}/members/list"
    page = made(client.post(path, json={"limit": 2}))
    rest = made(client.post(path, json={"cursor": page["pagination"]["next_cursor"]}))
    found = [*page["results"], *rest["results"]]
    assert [(each["document_id"], each["label"]) for each in found] == [
        ("doc_a", 0),
        ("doc_b", 1),
        ("doc_c", 0),
    ]
    assert made(client.post(path, json={"label": 1}))["results"] == found[1:2]

    points = made(client.get(f"{base}/visualization", params={"max_points": 2}))
    assert (points["shown_points"], points["total_points"]) == (2, 3)
    assert points["axes"] == ["first", "second"]
    for kind, media_type in (("svg", "image/svg+xml"), ("png", "image/png")):
        picture = client.get(f"{base}/visualization.{kind}")
        assert (picture.content, picture.headers["content-type"]) == (PICTURE, media_type)
        again = {"If-None-Match": picture.headers["etag"]}
        assert client.get(f"{base}/visualization.{kind}", headers=again).status_code == 304

    # As a run of so many groups answers, whose centroids would not fit into one answer.
    many = {"$set": {"result.num_clusters": 1_000_001}}
    database["cluster_runs"].update_one({"_id": newest}, many)
    refused = client.get(f"{base}/groups", params={"include_centroids": True})
    assert places(error(refused, 422, "ValidationError")) == [["query", "include_centroids"]]
    assert made(client.get(f"{base}/groups"))["total_groups"] == 2


def rows_of(database: Database[Document], run_id: str) -> int:
    names = ("cluster_groups", "cluster_members", "cluster_parts")
    return sum(database[name].count_documents({"run_id": run_id}) for name in names)


def test_the_sweep_removes_what_nobody_sees(
    client: httpx.Client,
    cluster: Json,
    collection: Json,
    stores: Stores,
    database: Database[Document],
) -> None:
    base = f"/v1/clusters/{cluster['cluster_id']}"
    kept, died = execute(client, cluster), execute(client, cluster)
    shown = complete(database, kept, ["doc_a"], collection["collection_id"])
    dead = str(died["inputs"][1])
    stores.cluster_findings.write_picture(dead, "svg", PICTURE)
    stores.cluster_runs.settle()
    assert rows_of(database, dead) == 1  # its task is open
    for task in (kept, died):
        made(client.post(f"/v1/tasks/{task['task_id']}/kill"))
    stores.cluster_runs.settle()
    assert (rows_of(database, dead), rows_of(database, shown)) == (0, 6)
    assert made(client.get(f"{base}/groups"))["run_id"] == shown

    made(client.delete(base))
    error(client.get(f"{base}/executions/{shown}"), 404, "NotFoundError")
    for _ in range(2):
        stores.cluster_runs.settle()
    assert rows_of(database, shown) == database["cluster_runs"].count_documents({}) == 0


def test_an_assignment_is_stored_in_parts_and_written_in_steps(
    database: Database[Document],
) -> None:
    findings = FindingStore(database)
    findings.ensure_indexes()
    ids = [f"doc_{number:05d}" for number in range(7_000)]
    labels = np.arange(7_000, dtype=np.int32) % 3 - 1
    part = Assignment(ids, labels, np.zeros(7_000, np.uint8))
    findings.write_assignment("run_1", 0, part)
    read = findings.assignment("run_1", 0)
    assert list(read.document_ids) == ids
    assert read.labels.tolist() == labels.tolist()
    cut = list(steps(members_of(read, ["col_1"], {1: (0, 1)})))
    assert [len(some) for some in cut] == [5_000, 2_000]
    findings.write_members("run_1", cut[1])
    row = database["cluster_members"].find_one({"document_id": ids[-1]})
    assert row is not None
    assert row["labels"] == [int(labels[-1])] == [-1]
    assert findings.clear("run_1", 1_500) == 1_501
    assert findings.clear("run_1", 1_500) == 500


def insert_document(
    database: Database[Document], one: Collection, number: int, vector: Sequence[float], **more: Any
) -> None:
    stored = Binary.from_vector(list(vector), BinaryVectorDtype.FLOAT32)
    name = {"text": "text"}.get(one.feature_extractor.name, "tabular")
    database["documents"].insert_one(
        {
            "_id": f"doc_{number}_{one.collection_name}",
            "namespace_id": one.namespace_id,
            "collection_id": one.collection_id,
            "object_id": f"obj_{number}",
            "vectors": {name: stored},
            "fields": {"price": number, **more},
        }
    )


def test_selections_read_vectors_and_values(
    client: httpx.Client, bucket: Json, collection: Json, stores: Stores, database: Database[Any]
) -> None:
    namespace_id = collection["namespace_id"]
    other = tabular(client, bucket, "price")
    texts, numbers = (
        stores.collections.get(each["collection_id"], namespace_id=namespace_id)
        for each in (collection, other)
    )
    for number in range(5):
        insert_document(database, texts, number, [number, 1.5], colour={"main": "red"})
        if number != 3:
            insert_document(database, numbers, number, [number * 10])

    def selection(*collections: Collection, **filters: Any) -> Selection:
        return Selection(
            database,
            namespace_id=namespace_id,
            collection_ids=[each.collection_id for each in collections],
            filters=[filters] if filters else [],
        )

    one = find_source([texts], ["text"], Limits())
    rows = list(selection(texts).vectors(one))
    assert [row.vectors[0].tolist() for row in rows] == [[float(n), 1.5] for n in range(5)]
    chosen = [rows[3].document_id, rows[1].document_id]
    assert [row.document_id for row in selection(texts).vectors(one, chosen)] == chosen[::-1]
    cheap = selection(texts, **{"fields.price": [0, 4]})
    assert (cheap.vector_count(one), cheap.count()) == (2, 2)
    assert list(cheap.vector_ids(one)) == [rows[0].document_id, rows[4].document_id]

    both = find_source([numbers, texts], ["text", "tabular"], Limits())
    joined = list(selection(numbers, texts).vectors(both))
    assert [[vector.tolist() for vector in row.vectors] for row in joined] == [
        [[float(n), 1.5], [n * 10.0]] for n in (0, 1, 2, 4)
    ]
    assert {row.place for row in joined} == {1}

    values = list(cheap.values(["price", "fields.colour.main", "metadata.none", "object_id"]))
    assert values == [(rows[n].document_id, 0, [n, "red", None, f"obj_{n}"]) for n in (0, 4)]
    by_price = AttributeConfig(("price",), hierarchical_grouping=False, aggregation_method=None)
    with pytest.raises(PermanentError, match="5 documents need about 1 MiB, and WAYBILL_CLUSTER"):
        AttributeClustering(selection(texts), by_price).find(1_000, QUIET)
