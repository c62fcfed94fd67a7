"""Clusters: documents grouped by their vectors, or by their values."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from waybill.endpoint import D, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow, send
from waybill.flow.verb import (
    UNSET,
    Unset,
    act,
    ask,
    change,
    create,
    delete,
    fetched,
    get,
    said,
    walk,
)
from waybill.groups.listed import Listed
from waybill.types import Deleted, Page, Task
from waybill.types.cluster import Cluster, ClusterGroups, Execution, Member, Visualization


class Clusters(Listed[D, Cluster]):
    """Ways of grouping documents, and their executions. A cluster is an id or a name."""

    kind = Cluster
    parts = ("clusters",)

    @endpoint
    def create(
        self,
        cluster_name: str,
        *,
        collection_ids: Sequence[str],
        vector_config: Mapping[str, object] | None = None,
        attribute_config: Mapping[str, object] | None = None,
        filters: Mapping[str, object] | None = None,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Cluster]:
        """A new cluster of these collections' documents.

        `vector_config` is `{"feature_uris", "clustering_method", "algorithm_params", …}`,
        `attribute_config` is `{"attributes", "hierarchical_grouping"}`: give one of them.
        """
        body = said(
            cluster_name=cluster_name,
            collection_ids=[*collection_ids],
            vector_config=vector_config,
            attribute_config=attribute_config,
            filters=filters,
            description=description,
            metadata=metadata,
        )
        return fetched(Cluster, create(path_to("clusters"), body, key=idempotency_key))

    @endpoint
    def get(self, cluster: str) -> Flow[Cluster]:
        """The cluster; its status is that of its newest execution."""
        return fetched(Cluster, get(path_to("clusters", cluster)))

    @endpoint
    def change(
        self,
        cluster: str,
        *,
        cluster_name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        metadata: Mapping[str, object] | Unset = UNSET,
        algorithm_params: Mapping[str, object] | Unset = UNSET,
        sample_size: int | Unset | None = UNSET,
        filters: Mapping[str, object] | Unset | None = UNSET,
    ) -> Flow[Cluster]:
        """Sets what is given, for later executions."""
        call = change(
            path_to("clusters", cluster),
            cluster_name=cluster_name,
            description=description,
            metadata=metadata,
            algorithm_params=algorithm_params,
            sample_size=sample_size,
            filters=filters,
        )
        return fetched(Cluster, call)

    @endpoint
    def delete(self, cluster: str) -> Flow[Deleted]:
        """Deletes a cluster, none of whose executions is open, with all that they found."""
        return fetched(Deleted, delete(path_to("clusters", cluster)))

    @endpoint
    def execute(
        self,
        cluster: str,
        *,
        filters: Mapping[str, object] | None = None,
        sample_size: int | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Task]:
        """The task that groups the documents as they are when it runs."""
        body = said(filters=filters, sample_size=sample_size, webhook_url=webhook_url)
        path = path_to("clusters", cluster, "execute")
        return fetched(Task, create(path, body, key=idempotency_key))

    @endpoint
    def latest_execution(self, cluster: str) -> Flow[Execution | None]:
        """The newest execution, whatever its status; None before the first."""
        return _latest(cluster)

    @endpoint
    def execution(self, cluster: str, run_id: str) -> Flow[Execution]:
        """One execution, with the first of its centroids."""
        return fetched(Execution, get(path_to("clusters", cluster, "executions", run_id)))

    @items
    def executions(
        self,
        cluster: str,
        *,
        status: str | None = None,
        filters: Mapping[str, object] | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Execution]:
        """Every execution, the newest first, page by page."""
        path = path_to("clusters", cluster, "executions", "list")
        return walk(Execution, path, said(status=status, filters=filters), page_size=page_size)

    @endpoint
    def executions_page(
        self,
        cluster: str,
        *,
        status: str | None = None,
        page_size: int = 100,
        cursor: str | None = None,
    ) -> Flow[Page[Execution]]:
        """One page; `pagination.next_cursor` names the next."""
        path = path_to("clusters", cluster, "executions", "list")
        body = said(status=status, limit=page_size, cursor=cursor)
        return fetched(Page[Execution], ask(path, body))

    @endpoint
    def cancel(self, cluster: str, run_id: str, *, reason: str | None = None) -> Flow[Task]:
        """Asks for the end of the execution's task, which is the answer."""
        path = path_to("clusters", cluster, "executions", run_id, "cancel")
        return fetched(Task, act(path, said(reason=reason), repeatable=True))

    @items
    def members(
        self, cluster: str, run_id: str, *, label: int | None = None, page_size: int = 1_000
    ) -> ItemFlow[Member]:
        """Every document with its label, or those of one label; -1 is noise."""
        path = path_to("clusters", cluster, "executions", run_id, "members", "list")
        return walk(Member, path, said(label=label), page_size=page_size)

    @endpoint
    def groups(
        self, cluster: str, *, run_id: str | None = None, include_centroids: bool = False
    ) -> Flow[ClusterGroups]:
        """The groups of an execution, of the latest completed one without an id."""
        params = said(run_id=run_id, include_centroids=include_centroids or None)
        return fetched(ClusterGroups, get(path_to("clusters", cluster, "groups"), params))

    @endpoint
    def visualization(
        self, cluster: str, *, run_id: str | None = None, max_points: int | None = None
    ) -> Flow[Visualization]:
        """Documents in the plane."""
        params = said(run_id=run_id, max_points=max_points)
        return fetched(Visualization, get(path_to("clusters", cluster, "visualization"), params))

    @endpoint
    def picture(
        self, cluster: str, *, kind: Literal["svg", "png"] = "svg", run_id: str | None = None
    ) -> Flow[bytes]:
        """The picture of an execution, of the latest completed one without an id."""
        return _picture(path_to("clusters", cluster, f"visualization.{kind}"), run_id)


def _latest(cluster: str) -> Flow[Execution | None]:
    answer = yield from send(get(path_to("clusters", cluster, "executions")))
    return cast(Execution | None, json.loads(answer.body))


def _picture(path: str, run_id: str | None) -> Flow[bytes]:
    answer = yield from send(get(path, said(run_id=run_id)))
    return answer.body
