"""Clusters of the digits, how far they agree with the true labels, and the kill of one."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.table import Table
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from app.demo.main_job import follow
from app.demo.terminal import console, moment
from waybill import Client
from waybill.types import Task
from waybill.types.cluster import Execution

METHODS: Final[Mapping[str, Mapping[str, object]]] = {
    "kmeans": {"n_clusters": 10},
    "hdbscan": {"min_cluster_size": 15, "min_samples": 5},
}
# A fit of some minutes, which nobody waits for: it is killed.
LONG_FIT: Final[Mapping[str, object]] = {"n_clusters": 500, "n_init": 100, "max_iter": 1000}
COLUMNS: Final = (
    "method",
    "clusters",
    "noise",
    "silhouette",
    "D.–B.",
    "C.–H.",
    "NMI",
    "ARI",
)


def cluster_digits(client: Client, collection_id: str) -> None:
    """Executes each method, prints what it found, and writes its picture."""
    truth = {
        each["document_id"]: int(str(each["fields"]["label"]))
        for each in client.documents.list(collection_id, page_size=1_000)
    }
    folder = Path(tempfile.mkdtemp(prefix="waybill-pictures-"))
    table = Table(*COLUMNS, title="Clusters of the digits")
    for method, parameters in METHODS.items():
        cluster_id = _create(client, collection_id, method, parameters)
        follow(client, client.clusters.execute(cluster_id)["task_id"])
        execution = client.clusters.latest_execution(cluster_id)
        assert execution is not None
        table.add_row(method, *_described(client, execution, truth))
        picture = folder / f"digits-{method}.svg"
        picture.write_bytes(client.clusters.picture(cluster_id))
        console.print(f"Its picture is in {picture}")
    console.print(table)


def kill_a_fit(client: Client, collection_id: str) -> None:
    """Kills an execution in the middle of its fit, which cannot look for it."""
    console.print("[bold]A kill[/bold]")
    cluster_id = _create(client, collection_id, "kmeans", LONG_FIT)
    task = client.clusters.execute(cluster_id)
    _await_fit(client, cluster_id)
    console.print(f"Task {task['task_id']} is in the middle of a long fit. Killing it …")
    client.tasks.kill(task["task_id"], reason="the demo is over")
    receipt = _ended(client, task["task_id"])
    cancellation = receipt["cancellation"]
    assert cancellation is not None
    asked_at, ended_at = moment(cancellation["requested_at"]), moment(receipt["ended_at"])
    console.print(
        f"It is {receipt['status']} after {(ended_at - asked_at).total_seconds():.1f} s: "
        f"{cancellation['outcome']}.\n"
    )


def _create(
    client: Client, collection_id: str, method: str, parameters: Mapping[str, object]
) -> str:
    cluster = client.clusters.create(
        f"digits-{method}-{time.time_ns()}",
        collection_ids=[collection_id],
        vector_config={
            "feature_uris": ["image"],
            "clustering_method": method,
            "algorithm_params": parameters,
        },
    )
    return cluster["cluster_id"]


def _described(client: Client, execution: Execution, truth: Mapping[str, int]) -> list[str]:
    """The cells of a row; noise counts as a group of its own in the agreement with the truth."""
    members = list(client.clusters.members(execution["cluster_id"], execution["run_id"]))
    labels = [each["label"] for each in members]
    true = [truth[each["document_id"]] for each in members]
    metrics = execution["metrics"] or {}
    scores = [
        metrics.get("silhouette_score"),
        metrics.get("davies_bouldin_index"),
        metrics.get("calinski_harabasz_score"),
        normalized_mutual_info_score(true, labels),
        adjusted_rand_score(true, labels),
    ]
    return [
        str(execution["num_clusters"]),
        str(execution["noise_count"]),
        *("–" if score is None else f"{float(str(score)):.3f}" for score in scores),
    ]


def _await_fit(client: Client, cluster_id: str) -> None:
    while True:
        execution = client.clusters.latest_execution(cluster_id)
        if execution is not None and execution["stage"] == "fitting":
            return
        time.sleep(0.1)


def _ended(client: Client, task_id: str) -> Task:
    for event in client.tasks.stream(task_id):
        if event["event"] == "end":
            break
    return client.tasks.get(task_id)
