"""Taxonomies through the public client: made, tried, applied, in versions."""

import pytest
from mixpeek import (
    ApplyTaxonomyRequest,
    CreateTaxonomyRequest,
    ExecuteTaxonomyRequest,
    FlatTaxonomyConfigOutput,
    HierarchicalTaxonomyConfigOutput,
    ListTaxonomiesRequest,
    PatchTaxonomyRequest,
    Payload,
    Payload1,
    TaskStatusEnum,
)
from mixpeek.exceptions import ConflictException, NotFoundException

from tests.acceptance.public_client.test_task import ended
from tests.acceptance.public_client.vendor import Vendor, filters, sent
from tests.acceptance.shop import Shop, text_object
from waybill import Client

pytestmark = pytest.mark.timeout(180)

TEXTS = ("pots and pans", "socks and shirts", "1234567890")


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop whose three documents are nodes as well."""
    shop.process(shop.add(text_object(text) for text in TEXTS))
    return shop


def flat(collection_id: str, **more: object) -> dict[str, object]:
    return {
        "taxonomy_type": "flat",
        "retriever_id": "ret_texts",
        "input_mappings": [{"input_key": "text", "source_type": "vector", "path": "text"}],
        "source_collection": {
            "collection_id": collection_id,
            "enrichment_fields": [{"field_path": "price", "merge_mode": "replace"}],
        },
        **more,
    }


def wanted(name: str, config: dict[str, object]) -> CreateTaxonomyRequest:
    body = {"taxonomy_name": name, "description": "Texts", "config": config, "metadata": {"a": 1}}
    return sent(CreateTaxonomyRequest.from_dict(body))


def test_a_taxonomy_from_its_beginning_to_its_end(
    vendor: Vendor, client: Client, filled: Shop
) -> None:
    taxonomies = vendor.taxonomies
    made = taxonomies.create_taxonomy_taxonomies(wanted("texts", flat(filled.collection_id)))
    assert made.taxonomy_id is not None
    assert made.taxonomy_id.startswith("tax_")
    assert (made.version, made.metadata, made.ready) == (1, {"a": 1}, True)
    config = made.config.actual_instance
    assert isinstance(config, FlatTaxonomyConfigOutput)
    assert (config.retriever_id, config.top_k) == ("ret_texts", 1)
    assert taxonomies.get_taxonomy_taxonomies("texts") == made
    with pytest.raises(ConflictException):
        taxonomies.create_taxonomy_taxonomies(wanted("texts", flat(filled.collection_id)))

    tree: dict[str, object] = {
        "taxonomy_type": "hierarchical",
        "hierarchical_nodes": [{"collection_id": filled.collection_id, "label": "Texts"}],
    }
    above = taxonomies.create_taxonomy_taxonomies(wanted("tree", tree))
    config = above.config.actual_instance
    assert isinstance(config, HierarchicalTaxonomyConfigOutput)
    assert [each.label for each in config.hierarchical_nodes or ()] == ["Texts"]

    ours = filters({"field": "taxonomy_name", "operator": "eq", "value": "texts"})
    asked = ListTaxonomiesRequest(filters=ours, search="tex", limit=5)
    page = taxonomies.list_taxonomies_0(list_taxonomies_request=asked)
    assert (page.total_count, page.results) == (1, [made])
    newest = taxonomies.list_taxonomies(limit=1, include_total=True)
    assert (newest.total_count, newest.results) == (2, [above])
    change = PatchTaxonomyRequest(description="Words")
    assert taxonomies.patch_taxonomy_taxonomies("texts", change).description == "Words"

    second = taxonomies.create_taxonomy_version_taxonomies(
        made.taxonomy_id, {"config": flat(filled.collection_id, top_k=2)}
    )
    assert second.version == 2
    versions = taxonomies.list_taxonomy_versions_taxonomies(made.taxonomy_id)
    assert (versions.total_count, versions.results[0]) == (2, second)
    assert taxonomies.get_taxonomy_taxonomies("texts", version=1).config == made.config
    taxonomies.delete_taxonomy_taxonomies(made.taxonomy_id)
    with pytest.raises(NotFoundException):
        taxonomies.get_taxonomy_taxonomies("texts")
    assert [each["taxonomy_name"] for each in client.taxonomies.list()] == ["tree"]


def test_a_taxonomy_is_tried_and_applied(vendor: Vendor, filled: Shop) -> None:
    collection_id = filled.collection_id
    config = flat(collection_id)
    made = vendor.taxonomies.create_taxonomy_taxonomies(wanted("texts", config))
    nodes = {each["document_id"] for each in filled.documents()}
    said = {"taxonomy": made.to_dict(), "source_documents": [{"body": "a pan"}, {"body": "?"}]}
    asked = sent(ExecuteTaxonomyRequest.from_dict(said))
    with pytest.warns(DeprecationWarning, match="execute"):  # the package prefers the other path
        tried = vendor.taxonomies.execute_taxonomy_taxonomies("texts", Payload(asked))
    assert (tried.stats.processed_docs, tried.stats.enriched) == (2, 1)
    (match,) = tried.matches or []
    assert match.node_id in nodes
    assert (match.taxonomy_id, match.hierarchy_level) == (made.taxonomy_id, 0)
    plain = Payload1({"document_ids": sorted(nodes)})
    tried = vendor.taxonomies.execute_taxonomy_taxonomies_0("texts", plain, version=1)
    found = [(each.document_id, each.node_id) for each in tried.matches or ()]
    assert found == [(node, node) for node in sorted(nodes)]  # each is most like itself

    applied = vendor.collection_taxonomies.apply_taxonomy_to_collection(
        collection_id, ApplyTaxonomyRequest(taxonomy_id="texts", batch_size=100)
    )
    assert (applied.collection_id, applied.taxonomy_id) == (collection_id, made.taxonomy_id)
    assert applied.estimated_documents == 3
    assert ended(vendor, applied.task_id).status is TaskStatusEnum.COMPLETED
    for node in nodes:
        read = vendor.documents.get_document(collection_id, node)
        entry = read.additional_properties["taxonomies"][made.taxonomy_id]
        assert [each["node_id"] for each in entry["assignments"]] == [node]
