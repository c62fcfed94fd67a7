"""Executing clusters, and deleting them: each one transaction over a cluster and its runs."""

from dataclasses import dataclass
from typing import Final

from pymongo.client_session import ClientSession

from app.clusters.cluster import TASK_TYPE, Cluster, ClusterStore, LatestRun
from app.clusters.result import Result
from app.clusters.run import Run, RunStore
from app.database import Document
from app.errors import AlreadyExistsError, NotFoundError
from app.events.resource import Kind, Thing, deletion
from app.identity import new_id
from app.receipts.draft import this_moment
from app.receipts.ledger import Ledger
from app.receipts.receipt import JsonObject, NewTask, Receipt
from app.receipts.status import TaskStatusEnum
from app.resources.launch import launch

NO_REQUEST: Final[JsonObject] = {}


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants an execution, and how it differs from the others of its cluster.

    `notes` are added to the receipt's `additional_data`; `place` tells several executions of one
    request apart.
    """

    actor: str
    max_attempts: int
    filters: JsonObject | None = None
    sample_size: int | None = None
    notes: JsonObject | None = None
    place: str = ""
    callback_url: str | None = None


def submit_execution(
    clusters: ClusterStore, runs: RunStore, ledger: Ledger, *, cluster: Cluster, order: Order
) -> Receipt:
    """The task of a new execution of the cluster, from the API or from a worker.

    A request that is repeated gets the same. Raises `NotFoundError` where the cluster is gone, and
    `TooManyRequestsError` where the namespace's quota has no room.
    """
    run_id = new_id("run", order.place)
    if (earlier := runs.find(run_id)) is not None:
        return ledger.receipts.get(earlier.task_id)

    def start(document: Document, session: ClientSession) -> bool:
        # The one of two at once that comes second has waited for the first by then.
        if not clusters.note_run(cluster, run_id, session) or runs.find(run_id, session):
            return False
        run = _new_run(cluster, order, run_id, document)
        runs.insert(run, session)
        return True

    task = NewTask(
        task_type=TASK_TYPE,
        namespace_id=cluster.namespace_id,
        inputs=[cluster.cluster_id, run_id],
        actor=order.actor,
        additional_data={
            "cluster_id": cluster.cluster_id,
            "run_id": run_id,
            **(order.notes or NO_REQUEST),
        },
        max_attempts=order.max_attempts,
        place=order.place,
        callback_url=order.callback_url,
    )
    receipt = launch(ledger, task, start)
    if receipt is not None:
        return receipt
    if (other := runs.find(run_id)) is not None:
        return ledger.receipts.get(other.task_id)
    raise NotFoundError(f"There is no cluster '{cluster.cluster_id}'")


def show_result(
    clusters: ClusterStore, runs: RunStore, run: Run, result: Result, session: ClientSession
) -> None:
    """Shows what the run found, and makes it its cluster's latest unless a newer one has finished.

    To be stored with the end of the run's task.
    """
    at = this_moment()
    runs.finish(run.run_id, result, at, session)
    latest = LatestRun(
        run_id=run.run_id,
        task_id=run.task_id,
        num_clusters=result.num_clusters,
        num_points=result.num_points,
        metrics=result.metrics,
        completed_at=at,
    )
    clusters.note_result(run.cluster_id, latest, session)


def delete_cluster(clusters: ClusterStore, runs: RunStore, *, cluster: Cluster) -> None:
    """Deletes the cluster with its executions, whose rows the sweep removes.

    `AlreadyExistsError` while one is open, or where one was begun meanwhile.
    """
    if runs.open_task_ids(cluster.cluster_id):
        raise AlreadyExistsError("An execution of the cluster has not ended: cancel it first")

    name, namespace_id = cluster.cluster_name, cluster.namespace_id
    thing = Thing.named(Kind.CLUSTER, cluster.cluster_id, name, namespace_id=namespace_id)
    gone = deletion(thing, this_moment())

    def remove(session: ClientSession) -> bool:
        if not clusters.remove(cluster, session):
            return False
        runs.give_up(cluster.cluster_id, session)
        return True

    if not clusters.outbox.telling(remove, lambda removed: [gone] if removed else []):
        raise AlreadyExistsError("The cluster was executed or deleted meanwhile: look again")


def _new_run(cluster: Cluster, order: Order, run_id: str, document: Document) -> Run:
    return Run(
        run_id=run_id,
        namespace_id=cluster.namespace_id,
        cluster_id=cluster.cluster_id,
        task_id=document["_id"],
        definition=cluster.definition.narrowed(order.filters, order.sample_size),
        status=TaskStatusEnum.PENDING,
        outcome=None,
        stage=None,
        result=None,
        created_at=document["created_at"],
        completed_at=None,
    )
