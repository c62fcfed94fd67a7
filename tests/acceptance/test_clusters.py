"""Clusters as their users run them: defined, executed, looked at, killed."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest
from pymongo import MongoClient
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

from app.database import Document
from tests.acceptance.command import Command
from tests.acceptance.shop import Shop, text_object
from tests.integration.clusters import found
from tests.polling import poll
from tests.stack import Stack
from waybill import Client
from waybill.types import Execution, Task

pytestmark = pytest.mark.timeout(240)

WORDS: Final = ("rain snow storm", "bread butter jam", "train ticket station")
NUMBERS: Final = {"fields": ["price"]}
PNG: Final = b"\x89PNG"

# Each method as a user asks for it, and as scikit-learn is asked for the same.
METHODS: Final[Mapping[str, tuple[dict[str, object], Any]]] = {
    "kmeans": ({"n_clusters": 3}, KMeans(3, n_init=10, random_state=42)),
    "agglomerative": ({"n_clusters": 3}, AgglomerativeClustering(3)),
    "gaussian_mixture": (
        {"n_components": 2, "covariance_type": "diag"},
        GaussianMixture(2, covariance_type="diag", random_state=42),
    ),
    "dbscan": ({"eps": 0.9}, DBSCAN(eps=0.9)),
    "hdbscan": ({"min_cluster_size": 4}, HDBSCAN(min_cluster_size=4, copy=True)),
}


def fill(shop: Shop) -> None:
    """Texts about three things, with a price and a colour."""
    shop.process(
        shop.add(
            text_object(
                " ".join([*WORDS[n % 3].split()[: 2 + n % 2], f"number {n}"]),
                price=float(n % 4),
            )
            for n in range(42)
        )
    )


def vectors(shop: Shop, client: Client) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The documents' ids in their order, and the matrix of their vectors."""
    found = client.documents.list(shop.collection_id, page_size=1_000, vectors=True)
    rows = sorted((each["document_id"], each["vectors"]["text"]) for each in found)
    return [key for key, _ in rows], np.array([row for _, row in rows], np.float32)


def run(client: Client, name: str) -> Task:
    """The receipt of an execution that completed."""
    return client.tasks.wait(client.clusters.execute(name)["task_id"], timeout_s=120)


def labels(client: Client, name: str, receipt: Task) -> list[int]:
    """The members' labels, by document id."""
    run_id = receipt["outputs"][0]["run_id"]
    return [each["label"] for each in client.clusters.members(name, run_id)]


def test_methods_give_scikit_learns_labels_and_leave_what_they_found(
    shop: Shop, client: Client, command: Command, stack: Stack
) -> None:
    fill(shop)
    ids, matrix = vectors(shop, client)
    for method, (parameters, _) in METHODS.items():
        config = {"feature_uris": ["text"], "clustering_method": method}
        client.clusters.create(
            method,
            collection_ids=["text-vectors"],
            vector_config={**config, "algorithm_params": parameters},
        )
    with ThreadPoolExecutor(2) as pool:
        ended = pool.map(lambda name: run(client, name), METHODS)
        receipts = dict(zip(METHODS, ended, strict=True))
    for method, (_, estimator) in METHODS.items():
        assert labels(client, method, receipts[method]) == estimator.fit_predict(matrix).tolist()

    receipt, expected = receipts["kmeans"], METHODS["kmeans"][1].fit_predict(matrix)
    assert receipt["task_type"] == "engine_cluster_build"
    assert receipt["progress"] is not None
    assert receipt["progress"]["done"] == receipt["progress"]["total"] == 2 * len(ids)
    execution = client.clusters.latest_execution("kmeans")
    assert execution is not None
    assert (execution["status"], execution["stage"]) == ("COMPLETED", None)
    past = client.tasks.wait("tsk_past_its_retention", resource_path="/v1/clusters/kmeans")
    assert past["additional_data"]["cluster_id"] == execution["cluster_id"]
    assert past["status"] == "COMPLETED"
    metrics = execution["metrics"]
    assert metrics is not None
    assert metrics == receipt["outputs"][0]["metrics"]
    assert metrics["silhouette_score"] == pytest.approx(
        float(silhouette_score(matrix, expected)), abs=1e-9
    )
    assert execution["centroids"] is not None
    for label, centroid in enumerate(execution["centroids"]):
        inside = expected == label
        assert centroid["num_members"] == inside.sum()
        mean = np.array(centroid["centroid_vector"])
        assert np.allclose(mean, matrix[inside].mean(axis=0), atol=1e-5)
        shown = [ids.index(one["document_id"]) for one in centroid["representative_ids"]]
        assert inside[shown].all()
    view = client.clusters.visualization("kmeans")
    assert {each["document_id"]: each["label"] for each in view["points"]} == dict(
        zip(ids, expected.tolist(), strict=True)
    )

    run_ids = [receipt["outputs"][0]["run_id"], run(client, "kmeans")["outputs"][0]["run_id"]]
    with MongoClient[Document](stack.mongo_url, tz_aware=True) as mongo:
        first, again = (found(mongo["waybill"], run_id) for run_id in run_ids)
    assert first == again
    assert len(first["cluster_members"]) == len(ids)

    command.ok("clusters", "plot", "kmeans", "--output", "kmeans.svg")
    drawing = (command.folder / "kmeans.svg").read_bytes()
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
    assert drawing == client.clusters.picture("kmeans")
    assert client.clusters.picture("kmeans", kind="png").startswith(PNG)
    assert command.run("clusters", "plot", "kmeans", "--output", "kmeans.gif").code == 2


def test_values_features_together_and_samples(shop: Shop, client: Client) -> None:
    other = client.collections.create(
        "prices",
        bucket_ids=[shop.bucket_id],
        feature_extractor={"feature_extractor_name": "tabular", "parameters": NUMBERS},
    )
    fill(shop)
    client.clusters.create(
        "shelves",
        collection_ids=["text-vectors"],
        attribute_config={"attributes": ["price", "bucket_id"], "hierarchical_grouping": True},
        filters={"field": "fields.price", "operator": "lt", "value": 2},
    )
    receipt = run(client, "shelves")
    assert receipt["outputs"][0]["num_clusters"] == 2
    groups = client.clusters.groups("shelves")["groups"]
    assert [(each["level"], each["member_count"]) for each in groups if not each["level"]] == [
        (0, 11),
        (0, 11),
    ]
    run_id = receipt["outputs"][0]["run_id"]
    for each in groups:
        found = list(client.clusters.members("shelves", run_id, label=each["number"]))
        assert len(found) == each["member_count"]

    client.clusters.create(
        "both",
        collection_ids=["text-vectors", other["collection_id"]],
        vector_config={
            "feature_uris": ["text", "tabular"],
            "clustering_method": "kmeans",
            "algorithm_params": {"n_clusters": 2},
            "multi_feature_strategy": "weighted",
            "feature_weights": {"text": 0.5, "tabular": 2.0},
        },
    )
    assert run(client, "both")["outputs"][0]["num_points"] == 42
    task = client.clusters.execute("both", sample_size=20)
    sampled = client.tasks.wait(task["task_id"], timeout_s=120)["outputs"][0]
    assert sampled["num_points"] == 20
    assert client.clusters.execution("both", sampled["run_id"])["source_documents"] == 42

    client.clusters.create(
        "nothing",
        collection_ids=["text-vectors"],
        vector_config={"feature_uris": ["text"], "clustering_method": "kmeans"},
        filters={"fields.price": 99},
    )
    empty = shop.ended(client.clusters.execute("nothing"))
    assert (empty["status"], empty["attempt"]) == ("FAILED", 1)
    assert "selects no documents" in str(empty["error_message"])
    assert client.clusters.get("nothing")["error"] == empty["error_message"]


def test_a_killed_execution_leaves_the_earlier_one_in_place(shop: Shop, client: Client) -> None:
    fill(shop)
    client.clusters.create(
        "topics",
        collection_ids=["text-vectors"],
        vector_config={"feature_uris": ["text"], "clustering_method": "gaussian_mixture"},
    )
    first = run(client, "topics")["outputs"][0]
    before = client.clusters.groups("topics")
    # A fit that is still at it when the kill arrives, whatever the machine.
    long = {"n_components": 40, "n_init": 100}
    client.clusters.change("topics", algorithm_params=long)
    task = client.clusters.execute("topics")
    run_id = task["additional_data"]["run_id"]

    def stage() -> Execution | None:
        found = client.clusters.execution("topics", run_id)
        return found if found["stage"] == "fitting" else None

    poll(stage, description="the fit has begun", within_s=60)
    asked = client.clusters.cancel("topics", run_id, reason="not that many")
    assert asked["cancellation"] is not None
    assert shop.ended(task)["status"] == "CANCELED"
    assert client.clusters.execution("topics", run_id)["status"] == "CANCELED"
    described = client.clusters.get("topics")
    assert (described["status"], described["last_run_id"]) == ("CANCELED", first["run_id"])
    assert client.clusters.groups("topics") == before
    client.clusters.delete("topics")
