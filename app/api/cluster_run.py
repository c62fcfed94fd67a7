"""Executing clusters: the task, and what executions there were."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from app.api import callback
from app.api.cluster_answer import run_json
from app.api.cluster_body import CancelExecution, ExecuteCluster
from app.api.cluster_check import check_filters, check_source, collections_of
from app.api.cluster_word import Word, Worded
from app.api.shape import cluster as shape
from app.api.shape.task import Task
from app.api.task_control import kill
from app.clusters.cluster import Cluster
from app.clusters.execution import Order, submit_execution
from app.clusters.run import Run
from app.errors import InvalidError, NotFoundError
from app.http.answer import answers
from app.http.body import CREATED, Integer, JsonObject
from app.http.caller import Caller, Deleter, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, SortBody, counted, list_query, listed
from app.http.request_id import current_request_id
from app.query.cursor import Direction
from app.receipts.status import TaskStatusEnum
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/clusters", tags=["clusters"], route_class=IdempotentRoute)

CENTROIDS_SHOWN: Final = 200
BY_DOCUMENT: Final = SortBody(field="document_id", direction=Direction.ASC)


class ListExecutions(ListBody):
    """What a list of executions takes."""

    model_config = example({"status": "COMPLETED"})

    status: TaskStatusEnum | None = None


class ListMembers(ListBody):
    """What a list of members takes; `label` finds those of one group, -1 being noise."""

    model_config = example({"label": 0})

    label: Integer | None = None


@router.post(
    "/{cluster_identifier}/execute",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(Task),
)
def execute_cluster(
    cluster_identifier: str, caller: Writer, stores: Held, body: ExecuteCluster | None = None
) -> JsonObject:
    """The task that groups the documents as they are when it runs."""
    body = body or ExecuteCluster()
    url = callback.checked(body.webhook_url, stores.settings, "body")
    cluster = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    definition = cluster.definition
    if body.sample_size is not None and definition.vector is None:
        message = "sample_size is of clusters by vectors: this one groups by values"
        raise InvalidError.at("body", "sample_size", message=message)
    check_filters(body.filters)
    found = collections_of(stores, caller.namespace_id, definition.collection_ids)
    check_source(stores, found, definition)
    order = Order(
        actor=caller.actor,
        max_attempts=stores.settings.max_attempts,
        filters=body.filters,
        sample_size=body.sample_size,
        notes={"request_id": current_request_id()},
        callback_url=url,
    )
    return submit_execution(
        stores.clusters, stores.cluster_runs, stores.ledger, cluster=cluster, order=order
    ).to_json()


@router.get("/{cluster_identifier}/executions", responses=answers(shape.LatestExecution))
def get_latest_execution(
    cluster_identifier: str, caller: Reader, stores: Held, word: Worded
) -> JsonObject | None:
    """The newest execution, whatever its status; null before the first."""
    cluster = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    run = stores.cluster_runs.find(cluster.newest_run_id) if cluster.newest_run_id else None
    return None if run is None else _described(stores, run, word)


@router.post("/{cluster_identifier}/executions/list", responses=answers(shape.ExecutionPage))
def list_executions(
    cluster_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    word: Worded,
    params: Annotated[ListParams, Query()],
    body: ListExecutions | None = None,
) -> JsonObject:
    """A page of the cluster's executions, the newest first, without their centroids."""
    cluster = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    body = body or ListExecutions()
    query = list_query(params, body)
    page = stores.cluster_runs.list(cluster.cluster_id, counted(query), status=body.status)
    found = stores.ledger.receipts.find_many([run.task_id for run in page.results])
    receipts = {receipt.task_id: receipt for receipt in found}
    return listed(
        request, query, page.map(lambda run: run_json(run, receipts.get(run.task_id), word=word))
    )


@router.get("/{cluster_identifier}/executions/{run_id}", responses=answers(shape.Execution))
def get_execution(
    cluster_identifier: str, run_id: str, caller: Reader, stores: Held, word: Worded
) -> JsonObject:
    """The execution, with the first 200 of its centroids."""
    return _described(stores, find_run(stores, caller, cluster_identifier, run_id), word)


@router.post(
    "/{cluster_identifier}/executions/{run_id}/cancel",
    responses=answers(Task),
)
def cancel_execution(
    cluster_identifier: str,
    run_id: str,
    caller: Deleter,
    stores: Held,
    body: CancelExecution | None = None,
) -> JsonObject:
    """Asks for the end of the execution's task, which is the answer."""
    run = find_run(stores, caller, cluster_identifier, run_id)
    receipt, _ = kill(stores, run.task_id, caller, body.reason if body else None)
    return receipt.to_json()


@router.post(
    "/{cluster_identifier}/executions/{run_id}/members/list", responses=answers(shape.MemberPage)
)
def list_members(
    cluster_identifier: str,
    run_id: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListMembers | None = None,
) -> JsonObject:
    """A page of the execution's documents with their labels, by document id.

    There are none before it has completed.
    """
    run = completed(find_run(stores, caller, cluster_identifier, run_id))
    body = body or ListMembers()
    sorted_body = body.model_copy(update={"sort": body.sort or BY_DOCUMENT})
    query = list_query(params, sorted_body, {"label": body.label})
    page = stores.cluster_findings.members(run.run_id, counted(query))
    return listed(request, query, page.map(lambda member: member.to_json()))


def find_run(stores: Stores, caller: Caller, cluster_identifier: str, run_id: str) -> Run:
    """The execution of the cluster, or `NotFoundError`."""
    cluster = stores.clusters.get(cluster_identifier, namespace_id=caller.namespace_id)
    return stores.cluster_runs.get(
        run_id, namespace_id=caller.namespace_id, cluster_id=cluster.cluster_id
    )


def shown_run(stores: Stores, cluster: Cluster, run_id: str | None) -> Run:
    """The execution with this id, else the latest that completed; `NotFoundError` for others."""
    if run_id is None and cluster.latest is None:
        raise NotFoundError("No execution of the cluster has completed")
    wanted = run_id if run_id is not None else cluster.latest.run_id if cluster.latest else ""
    found = stores.cluster_runs.get(
        wanted, namespace_id=cluster.namespace_id, cluster_id=cluster.cluster_id
    )
    return completed(found)


def completed(run: Run) -> Run:
    """The run; `NotFoundError` for one that has found nothing, or has not yet."""
    if run.result is None:
        raise NotFoundError(f"The execution '{run.run_id}' has not completed")
    return run


def _described(stores: Stores, run: Run, word: Word) -> JsonObject:
    groups = None
    if run.result is not None:
        groups = stores.cluster_findings.groups(run.run_id, limit=CENTROIDS_SHOWN, centroids=True)
    return run_json(run, stores.ledger.receipts.find(run.task_id), groups, word=word)
