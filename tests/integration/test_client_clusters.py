"""The client's calls of clusters, blocking and asynchronous, against the real API."""

import httpx
import pytest
from pymongo.database import Database

from app.database import Document
from tests.integration.both_clients import KINDS, Kind, opened
from tests.integration.clusters import PICTURE, complete
from tests.integration.resources import ClientMaker, make_bucket, make_collection
from tests.integration.test_client import check
from waybill import ApiError, types

CONFIG = {"feature_uris": ["text"], "clustering_method": "kmeans"}


@pytest.mark.parametrize("kind", KINDS)
def test_clusters(
    kind: Kind, api_url: str, client_for: ClientMaker, database: Database[Document]
) -> None:
    raw: httpx.Client = client_for()
    collection = make_collection(raw, make_bucket(raw))
    key = str(raw.headers["Authorization"]).removeprefix("Bearer ")
    with opened(kind, api_url, key) as client:
        made = client.clusters.create("topics", collection_ids=["texts"], vector_config=CONFIG)
        check(made, types.Cluster)
        by_values = client.clusters.create(
            "shelves", collection_ids=["texts"], attribute_config={"attributes": ["price"]}
        )
        assert [each["cluster_id"] for each in client.clusters.list(page_size=1)] == [
            by_values["cluster_id"],
            made["cluster_id"],
        ]
        changed = client.clusters.change("topics", sample_size=10, description="all")
        assert (changed["sample_size"], changed["description"]) == (10, "all")
        assert client.clusters.get("topics") == changed
        assert client.clusters.latest_execution("topics") is None

        task = client.clusters.execute("topics", filters={"fields.price": 1})
        check(task, types.Task)
        members = ["doc_a", "doc_b", "doc_c"]
        run_id = complete(database, dict(task), members, collection["collection_id"])
        execution = client.clusters.execution("topics", run_id)
        check(execution, types.Execution)
        assert execution["centroids"] is not None
        check(execution["centroids"][0], types.Centroid)
        assert client.clusters.latest_execution("topics") == execution
        (row,) = client.clusters.executions("topics", status="PENDING")
        assert row == {**execution, "centroids": None}
        assert client.clusters.executions_page("topics")["results"] == [row]
        found = list(client.clusters.members("topics", run_id, page_size=2))
        check(found[0], types.Member)
        assert [each["document_id"] for each in found] == members
        assert len(list(client.clusters.members("topics", run_id, label=1))) == 1
        groups = client.clusters.groups("topics", run_id=run_id, include_centroids=True)
        check(groups, types.ClusterGroups)
        check(groups["groups"][0], types.ClusterGroup)
        view = client.clusters.visualization("topics", max_points=2)
        check(view, types.Visualization)
        check(view["points"][0], types.Point)
        check(view["legend"][0], types.LegendEntry)
        assert client.clusters.picture("topics", kind="png") == PICTURE
        with pytest.raises(ApiError, match="no execution"):
            client.clusters.picture("topics", run_id="run_none")

        assert client.clusters.cancel("topics", run_id, reason="no")["status"] == "CANCELED"
        assert client.clusters.delete("topics")["success"]
        assert [each["cluster_name"] for each in client.clusters.list()] == ["shelves"]
