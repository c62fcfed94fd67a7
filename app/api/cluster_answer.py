"""Clusters and their executions as JSON: the contract's keys, and the public client's."""

from collections.abc import Sequence
from typing import Final

from app.api.cluster_word import Word
from app.clusters.cluster import Cluster
from app.clusters.definition import ClusterType
from app.clusters.finding import Group
from app.clusters.run import Run
from app.http.body import JsonObject
from app.receipts.receipt import Receipt, rfc3339
from app.receipts.status import TaskStatusEnum
from app.resources.settlement import status_of

BY_ATTRIBUTES: Final = "attribute_based"  # the contract's name of what is no method of vectors


def cluster_json(cluster: Cluster, run: Run | None, receipt: Receipt | None) -> JsonObject:
    """The cluster. Its status is that of its newest execution, `run` with `receipt`; DRAFT before.

    Counts and scores are those of the newest execution that completed.
    """
    definition, latest = cluster.definition, cluster.latest
    vector, attribute = definition.vector, definition.attribute
    error = None if run is None else _error_of(run, receipt)
    return {
        "cluster_id": cluster.cluster_id,
        "namespace_id": cluster.namespace_id,
        "cluster_name": cluster.cluster_name,
        "description": cluster.description,
        "metadata": cluster.metadata,
        "collection_ids": list(definition.collection_ids),
        "input_collections": list(definition.collection_ids),
        "cluster_type": definition.cluster_type.value,
        "vector_config": None if vector is None else vector.to_json(),
        "attribute_config": None if attribute is None else attribute.to_json(),
        "filters": definition.filters[0] if definition.filters else None,
        "algorithm": BY_ATTRIBUTES if vector is None else vector.method.value,
        "algorithm_params": None if vector is None else vector.algorithm_params,
        "feature_uris": None if vector is None else list(vector.feature_uris),
        "sample_size": None if vector is None else vector.sample_size,
        "clustered_attributes": None if attribute is None else list(attribute.attributes),
        "status": (TaskStatusEnum.DRAFT if run is None else run_status(run, receipt)).value,
        "error": error,
        "task_id": None if run is None else run.task_id,
        "last_execution_task_id": None if run is None else run.task_id,
        "last_run_id": None if latest is None else latest.run_id,
        "num_clusters": None if latest is None else latest.num_clusters,
        "num_documents_clustered": None if latest is None else latest.num_points,
        "quality_metrics": None if latest is None else latest.metrics,
        "last_executed_at": None if run is None else rfc3339(run.created_at),
        "completed_at": None if latest is None else rfc3339(latest.completed_at),
        "created_at": rfc3339(cluster.created_at),
        "updated_at": rfc3339(cluster.updated_at),
    }


def run_status(run: Run, receipt: Receipt | None) -> TaskStatusEnum:
    """The run's status now."""
    return status_of(run.status, receipt)


def run_json(
    run: Run, receipt: Receipt | None, groups: Sequence[Group] | None = None, *, word: Word
) -> JsonObject:
    """The execution; `centroids` are null unless groups are given. Without a result it has no
    counts but zeros, which the public client needs."""
    result = run.result
    error = _error_of(run, receipt)
    return {
        "run_id": run.run_id,
        "cluster_id": run.cluster_id,
        "namespace_id": run.namespace_id,
        "task_id": run.task_id,
        "status": word(run_status(run, receipt)),
        "mode": "full",
        "stage": run.stage,
        "definition": run.definition.to_json(),
        "num_clusters": 0 if result is None else result.num_clusters,
        "num_points": 0 if result is None else result.num_points,
        "noise_count": 0 if result is None else result.noise_count,
        "source_documents": None if result is None else result.source_documents,
        "vectors_clustered": None if result is None else _clustered(run),
        "metrics": None if result is None else result.metrics,
        "converged": None if result is None else result.converged,
        "iterations": None if result is None else result.iterations,
        "notes": [] if result is None else list(result.notes),
        "centroids": None if groups is None else [_centroid_json(group) for group in groups],
        "error_message": error,
        "created_at": rfc3339(run.created_at),
        "completed_at": rfc3339(run.completed_at),
    }


def groups_json(run: Run, groups: Sequence[Group], *, centroids: bool) -> JsonObject:
    """The groups of a run that has completed."""
    assert run.result is not None
    return {
        "cluster_id": run.cluster_id,
        "run_id": run.run_id,
        "total_groups": len(groups),
        "total_documents": run.result.num_points,
        "noise_count": run.result.noise_count,
        "groups": [_group_json(group, centroids=centroids) for group in groups],
    }


def _clustered(run: Run) -> int | None:
    is_vector = run.definition.cluster_type is ClusterType.VECTOR
    return run.result.num_points if run.result is not None and is_vector else None


def _group_json(group: Group, *, centroids: bool) -> JsonObject:
    return {
        "cluster_id": str(group.label),
        "label": group.name,
        "number": group.label,
        "member_count": group.size,
        "values": group.values,
        "parent": group.parent,
        "level": group.level,
        "representatives": _representatives(group),
        "centroid": _centroid(group) if centroids else None,
    }


def _centroid_json(group: Group) -> JsonObject:
    return {
        "cluster_id": str(group.label),
        "label": group.name,
        "num_members": group.size,
        "centroid_vector": _centroid(group),
        "representative_ids": _representatives(group),
    }


def _centroid(group: Group) -> list[float] | None:
    return None if group.centroid is None else [float(number) for number in group.centroid]


def _representatives(group: Group) -> list[JsonObject]:
    return [
        {"document_id": one.document_id, "collection_id": one.collection_id}
        for one in group.representatives
    ]


def _error_of(run: Run, receipt: Receipt | None) -> str | None:
    if receipt is not None:
        return receipt.error_message
    stored = (run.outcome or {}).get("error_message")
    return None if stored is None else str(stored)
