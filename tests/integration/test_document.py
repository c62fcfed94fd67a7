"""Documents over HTTP."""

from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
from pymongo.database import Database

from app.database import Document
from app.resources.extraction import ExtractionStore, NewDocument, Origin
from tests.integration.resources import Json, error, made, make_bucket, make_collection, places


@pytest.fixture
def collection(client: httpx.Client, database: Database[Document]) -> Json:
    """A collection with documents of six objects, as a batch writes them."""
    made_ = make_collection(client, make_bucket(client))
    origin, documents = documents_of(made_)
    ids = [document.object_id for document in documents]
    ExtractionStore(database).write(origin, ids, documents, [])
    return made_


def documents_of(collection: Json) -> tuple[Origin, list[NewDocument]]:
    """Six documents, and the batch that makes them."""
    (bucket_id,) = collection["source"]["bucket_ids"]
    origin = Origin(collection["namespace_id"], bucket_id, "btch_1", "tsk_1", 1)
    documents = [
        NewDocument(
            collection_id=collection["collection_id"],
            object_id=f"obj_{i}",
            feature="text",
            vector=np.array([i, 0.5], dtype=np.float32),
            fields={"price": i, "shop": "ab"[i % 2], **({"note": "x"} if i > 3 else {})},
            metadata={"rank": i},
        )
        for i in range(6)
    ]
    return origin, documents


def url(collection: Json) -> str:
    return f"/v1/collections/{collection['collection_id']}/documents"


def test_documents_are_read(client: httpx.Client, collection: Json) -> None:
    answer = made(client.post(f"{url(collection)}/list", params={"include_total": True}))
    assert answer["pagination"]["total"] == 6
    first = next(each for each in answer["results"] if each["object_id"] == "obj_1")
    assert "vectors" not in first
    assert first["fields"] == {"price": 1, "shop": "b"}
    assert first["metadata"] == {"rank": 1}
    assert (first["task_id"], first["batch_id"]) == ("tsk_1", "btch_1")
    assert made(client.get(f"{url(collection)}/{first['document_id']}")) == first
    for flag in ("include_vectors", "return_vectors"):
        path = f"{url(collection)}/{first['document_id']}"
        assert made(client.get(path, params={flag: True}))["vectors"] == {"text": [1.0, 0.5]}
        listed = made(client.post(f"{url(collection)}/list", params={flag: True}))
        assert all("vectors" in each for each in listed["results"])
    error(client.get(f"{url(collection)}/doc_none"), 404, "NotFoundError")
    error(client.get("/v1/collections/none/documents/x"), 404, "NotFoundError")


def test_documents_are_filtered_and_counted(client: httpx.Client, collection: Json) -> None:
    def count(filters: object) -> int:
        body = {"filters": filters}
        counted: int = made(client.post(f"{url(collection)}/count", json=body))["count"]
        listed = made(client.post(f"{url(collection)}/list", json=body))["results"]
        assert len(listed) == counted
        return counted

    assert count({}) == 6
    assert count({"fields.price": [1, 2, 9]}) == 2
    assert count({"task_id": "tsk_1", "metadata.rank": 3}) == 1
    assert count({"field": "fields.note", "operator": "exists", "value": True}) == 2
    now = datetime.now(UTC).isoformat()
    assert count({"field": "created_at", "operator": "lte", "value": now}) == 6
    assert made(client.get(f"{url(collection)}/count"))["count"] == 6
    found = made(client.get(f"/v1/collections/{collection['collection_id']}"))
    assert found["document_count"] == 6
    error(client.delete("/v1/collections/texts"), 409, "AlreadyExistsError")
    response = client.post(f"{url(collection)}/count", json={"filters": {"vectors": 1}})
    error(response, 422, "ValidationError")


def test_documents_are_aggregated(client: httpx.Client, collection: Json) -> None:
    body = {
        "group_by": "fields.shop",
        "aggregations": [
            {"function": "count"},
            {"function": "sum", "field": "fields.price", "alias": "total"},
            {"function": "avg", "field": "fields.price"},
            {"function": "count", "field": "fields.note", "alias": "notes"},
            {"function": "max", "field": "created_at", "alias": "newest"},
        ],
        "filters": {"field": "fields.price", "operator": "gt", "value": 0},
        "sort_by": "total",
    }
    answer = made(client.post(f"{url(collection)}/aggregate", json=body))
    assert answer["total_groups"] == 2
    first, second = answer["results"]
    assert first["group"] == {"fields.shop": "b"}
    newest = first["metrics"].pop("newest")
    assert newest.endswith("Z")
    assert first["metrics"] == {"count": 3, "total": 9, "avg_fields.price": 3.0, "notes": 1}
    assert second["metrics"]["total"] == 6
    whole = {"aggregations": [{"function": "min", "field": "metadata.rank", "alias": "least"}]}
    (only,) = made(client.post(f"{url(collection)}/aggregate", json=whole))["results"]
    assert only == {"group": {}, "metrics": {"least": 0}}


def test_bad_aggregations_are_refused(client: httpx.Client, collection: Json) -> None:
    count = {"function": "count"}
    total = {"function": "sum"}
    for body, place in (
        ({"aggregations": []}, ["body", "aggregations"]),
        ({"aggregations": [total]}, ["body", "aggregations", 0, "field"]),
        ({"aggregations": [{**total, "field": "$x"}]}, ["body", "aggregations", 0, "field"]),
        ({"aggregations": [{"function": "$out"}]}, ["body", "aggregations", 0, "function"]),
        ({"aggregations": [count, count]}, ["body", "aggregations"]),
        ({"aggregations": [count], "group_by": ["a"]}, ["body", "group_by", 0, "field"]),
        ({"aggregations": [count], "sort_by": "x"}, ["body", "sort_by"]),
        ({"aggregations": [count], "limit": 1001}, ["body", "limit"]),
        ({"aggregations": [count], "having": []}, ["body", "having"]),
    ):
        response = client.post(f"{url(collection)}/aggregate", json=body)
        assert places(error(response, 422, "ValidationError")) == [place]
