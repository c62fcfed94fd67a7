"""Clusters: POST, GET, list, PATCH, DELETE."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from app.api.cluster_answer import cluster_json
from app.api.cluster_body import CreateCluster, PatchCluster
from app.api.cluster_check import (
    check_filters,
    check_name,
    checked_parameters,
    definition_of,
)
from app.api.shape import cluster as shape
from app.clusters.cluster import Cluster, NewCluster
from app.clusters.definition import Definition
from app.clusters.execution import delete_cluster
from app.errors import InvalidError
from app.http.answer import Done, answers
from app.http.body import CREATED, JsonObject
from app.http.caller import Deleter, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/clusters", tags=["clusters"], route_class=IdempotentRoute)


NOTES: Final = ("description", "metadata")  # what is changed as it is sent


class ListClusters(ListBody):
    """What a list of clusters takes."""

    model_config = example({"filters": {"cluster_type": "vector"}})


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Cluster, {409: "The name is taken."}),
)
def create_cluster(body: CreateCluster, caller: Writer, stores: Held) -> JsonObject:
    """A new cluster, once its collections, features, parameters and filters are found right."""
    check_name(body.cluster_name)
    new = NewCluster(
        cluster_name=body.cluster_name,
        description=body.description,
        metadata=body.metadata,
        definition=definition_of(stores, caller.namespace_id, body),
    )
    created = stores.clusters.create(caller.namespace_id, new)
    stores.ledger.cache.nudge()
    return _described(stores, created)


@router.post("/list", responses=answers(shape.ClusterPage))
def list_clusters(
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListClusters | None = None,
) -> JsonObject:
    """A page of the namespace's clusters, the newest first."""
    query = list_query(params, body)
    page = stores.clusters.list(caller.namespace_id, counted(query))
    described = dict(
        zip(
            [one.cluster_id for one in page.results],
            _all_described(stores, page.results),
            strict=True,
        )
    )
    return listed(request, query, page.map(lambda one: described[one.cluster_id]))


@router.get("", responses=answers(shape.ClusterPage))
def get_clusters(
    request: Request, caller: Reader, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_clusters(request, caller, stores, params)


@router.get("/{cluster_identifier}", responses=answers(shape.Cluster))
def get_cluster(cluster_identifier: str, caller: Reader, stores: Held) -> JsonObject:
    """The cluster with this id or name."""
    found = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    return _described(stores, found)


@router.patch(
    "/{cluster_identifier}", responses=answers(shape.Cluster, {409: "The name is taken."})
)
def patch_cluster(
    cluster_identifier: str, body: PatchCluster, caller: Writer, stores: Held
) -> JsonObject:
    """Changes names and notes, and how later executions go; one that runs is not changed."""
    found = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    asked = body.model_dump(exclude_unset=True)
    changes: JsonObject = {key: asked[key] for key in NOTES if key in asked}
    if body.cluster_name is not None:
        check_name(body.cluster_name)
        changes["cluster_name"] = body.cluster_name
    before = found.definition.to_json()
    after = _changed(found.definition, body).to_json()
    changes |= {key: value for key, value in after.items() if value != before[key]}
    changed = stores.clusters.change(found, changes)
    stores.ledger.cache.nudge()
    return _described(stores, changed)


@router.delete(
    "/{cluster_identifier}",
    responses=answers(Done, {409: "An execution of the cluster has not ended."}),
)
def remove_cluster(cluster_identifier: str, caller: Deleter, stores: Held) -> JsonObject:
    """Deletes the cluster and all that its executions found."""
    found = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    delete_cluster(stores.clusters, stores.cluster_runs, cluster=found)
    stores.ledger.cache.nudge()
    return {"success": True, "message": f"The cluster '{found.cluster_name}' is deleted"}


def _changed(definition: Definition, body: PatchCluster) -> Definition:
    vector = definition.vector
    if vector is None and {"algorithm_params", "sample_size"} & body.model_fields_set:
        message = "algorithm_params and sample_size are of clusters by vectors: this is by values"
        raise InvalidError.at("body", "algorithm_params", message=message)
    if vector is not None and body.algorithm_params is not None:
        made = checked_parameters(vector.method, body.algorithm_params)
        vector = replace(vector, algorithm_params=made)
    if vector is not None and "sample_size" in body.model_fields_set:
        vector = replace(vector, sample_size=body.sample_size)
    definition = replace(definition, vector=vector)
    if "filters" in body.model_fields_set:
        definition = replace(definition, filters=check_filters(body.filters))
    return definition


def _described(stores: Stores, cluster: Cluster) -> JsonObject:
    (described,) = _all_described(stores, [cluster])
    return described


def _all_described(stores: Stores, clusters: Sequence[Cluster]) -> list[JsonObject]:
    """The clusters in their order, with two queries for all of them."""
    run_ids = [one.newest_run_id for one in clusters if one.newest_run_id]
    runs = stores.cluster_runs.find_many(run_ids)
    task_ids = [run.task_id for run in runs.values()]
    receipts = {one.task_id: one for one in stores.ledger.receipts.find_many(task_ids)}
    described = []
    for one in clusters:
        run = runs.get(one.newest_run_id or "")
        described.append(cluster_json(one, run, receipts.get(run.task_id) if run else None))
    return described
