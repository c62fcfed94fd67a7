"""Documents of a collection through the public client."""

import pytest
from mixpeek import DocumentAggregationRequest, ListDocumentsRequest

from tests.acceptance.public_client.vendor import Vendor, filters, order, sent
from tests.acceptance.shop import Shop, text_object

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop whose collection has five documents at three prices."""
    prices = (1.5, 2.5, 2.5, 3.5, 3.5)
    shop.process(shop.add(text_object(f"at {price}", price=price) for price in prices))
    return shop


def test_documents_are_read(vendor: Vendor, filled: Shop) -> None:
    stored = filled.documents()
    assert vendor.documents.count_documents(filled.collection_id).count == len(stored) == 5
    for document in stored:
        read = vendor.documents.get_document(filled.collection_id, document["document_id"])
        assert (read.document_id, read.collection_id) == (
            document["document_id"],
            filled.collection_id,
        )
        assert read.additional_properties["fields"] == document["fields"]
        assert read.additional_properties["object_id"] == document["object_id"]
        assert "vectors" not in read.additional_properties
    whole = vendor.documents.get_document(
        filled.collection_id, stored[0]["document_id"], return_vectors=True
    )
    (vector,) = whole.additional_properties["vectors"].values()
    assert any(vector)


def test_documents_are_listed_by_filter_order_and_page(vendor: Vendor, filled: Shop) -> None:
    asked = ListDocumentsRequest(
        filters=filters({"field": "fields.price", "operator": "gte", "value": 2.5}),
        sort=order("created_at", "asc"),
        return_vectors=True,
    )
    collection = filled.collection_id
    page = vendor.documents.list_documents(
        collection, limit=3, include_total=True, list_documents_request=asked
    )
    assert (page.pagination.total, page.pagination.page_size) == (4, 3)
    rest = vendor.documents.list_documents(
        collection, limit=3, cursor=page.pagination.next_cursor, list_documents_request=asked
    )
    found = [*(page.results or ()), *(rest.results or ())]
    expected = {
        each["document_id"]: each["fields"]["price"]
        for each in filled.documents()
        if each["fields"]["price"] >= 2.5
    }
    prices = {each.document_id: each.additional_properties["fields"]["price"] for each in found}
    assert (len(found), prices) == (4, expected)
    assert all(each.additional_properties["vectors"] for each in found)

    few = vendor.documents.list_documents(
        collection, list_documents_request=ListDocumentsRequest(limit=2, include_total=True)
    )
    assert (len(few.results or ()), few.pagination.total) == (2, 5)
    plain = vendor.documents.list_documents_0(collection, page_size=4)
    assert len(plain.results or ()) == 4


def test_documents_are_grouped(vendor: Vendor, filled: Shop) -> None:
    body: dict[str, object] = {
        "group_by": [{"field": "fields.price", "alias": "price"}],
        "aggregations": [
            {"function": "count", "alias": "documents"},
            {"function": "sum", "field": "fields.price", "alias": "worth"},
        ],
        "filters": {"AND": [{"field": "fields.price", "operator": "lt", "value": 3}]},
        "sort_by": "documents",
        "limit": 10,
    }
    asked = sent(DocumentAggregationRequest.from_dict(body))
    groups = vendor.documents.aggregate_documents(filled.collection_id, asked)
    assert groups.total_groups == 2
    assert [(each.group, each.metrics) for each in groups.results] == [
        ({"price": 2.5}, {"documents": 2, "worth": 5.0}),
        ({"price": 1.5}, {"documents": 1, "worth": 1.5}),
    ]
