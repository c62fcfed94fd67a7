"""Clusters, and executions that have found something though no worker runs here."""

from datetime import UTC, datetime
from typing import Final

import httpx
import numpy as np
from pymongo.database import Database

from app.clusters.cluster import ClusterStore, LatestRun
from app.clusters.finding import FindingStore, Group, Member, Points, Representative
from app.clusters.result import Layout, Result
from app.database import Document
from tests.integration.resources import Json, made

RESULT: Final = Result(
    num_clusters=2,
    num_points=3,
    noise_count=1,
    source_documents=3,
    metrics={"silhouette_score": 0.5, "noise_ratio": 0.25, "undefined": {}},
    converged=True,
    iterations=2,
    projection=Layout("pca", ("first", "second"), 3),
)
PICTURE: Final = b"<svg/>"


def cluster_body(collection_id: str, name: str = "topics", **config: object) -> Json:
    """A cluster by k-means over the collection's texts; `config` is more of vector_config."""
    return {
        "cluster_name": name,
        "collection_ids": [collection_id],
        "cluster_type": "vector",
        "vector_config": {"feature_uris": ["text"], "clustering_method": "kmeans", **config},
    }


def execute(client: httpx.Client, cluster: Json) -> Json:
    """The task of a new execution."""
    return made(client.post(f"/v1/clusters/{cluster['cluster_id']}/execute", json={}))


def complete(
    database: Database[Document], task: Json, members: list[str], collection_id: str
) -> str:
    """Stores what the task's run finds: groups 0 and 1, the members by turns, a picture.

    The receipt stays as it is. Returns the run's id.
    """
    cluster_id, run_id = task["inputs"]
    findings, at = FindingStore(database), datetime.now(UTC)
    representative = (Representative(members[0], collection_id),)
    findings.write_groups(
        run_id,
        [
            Group(label, f"cluster {label}", 1, np.ones(2, np.float32), representative)
            for label in (0, 1)
        ],
    )
    findings.write_members(
        run_id,
        [Member(each, collection_id, (place % 2,)) for place, each in enumerate(members)],
    )
    places = np.zeros((len(members), 2), np.float32)
    findings.write_points(run_id, Points(members, places, np.arange(len(members), dtype=np.int32)))
    for kind in ("svg", "png"):
        findings.write_picture(run_id, kind, PICTURE)
    shown = {"result": RESULT.to_json(), "is_litter": False, "completed_at": at}
    database["cluster_runs"].update_one({"_id": run_id}, {"$set": shown})
    latest = LatestRun(run_id, task["task_id"], 2, 3, RESULT.metrics, at)
    ClusterStore(database).note_result(cluster_id, latest)
    return str(run_id)


# What differs between two executions that found the same: times, ids, and when they were settled.
OF_ONE_RUN: Final = ("_id", "task_id", "created_at", "completed_at", "status", "outcome")


def found(database: Database[Document], run_id: str) -> dict[str, list[Document]]:
    """All that a run left in MongoDB, byte for byte, apart from times and ids of run and task."""
    rows = {
        name: list(database[name].find({"run_id": run_id}).sort("_id"))
        for name in ("cluster_groups", "cluster_members", "cluster_parts")
    }
    for row in (row for some in rows.values() for row in some):
        row["_id"] = row["_id"].replace(run_id, "run")
        row["run_id"] = "run"
    runs = list(database["cluster_runs"].find({"_id": run_id}))
    kept = [{key: row[key] for key in row if key not in OF_ONE_RUN} for row in runs]
    return {**rows, "cluster_runs": kept}
