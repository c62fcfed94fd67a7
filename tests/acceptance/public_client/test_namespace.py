"""Namespaces, and the health of the stack, through the public client."""

import secrets

import pytest
from mixpeek import CreateNamespaceRequest, ListNamespacesRequest, PatchNamespaceRequest
from mixpeek.exceptions import NotFoundException

from tests.acceptance.public_client.vendor import Vendor
from waybill import Client


def test_a_namespace_from_its_beginning_to_its_end(vendor: Vendor, client: Client) -> None:
    name = f"vendor-{secrets.token_hex(6)}"
    wanted = CreateNamespaceRequest(namespace_name=name, description="The web shop")
    made = vendor.namespaces.create_namespace(wanted)
    assert made.namespace_id is not None
    assert (made.namespace_name, made.description) == (name, "The web shop")
    assert made.namespace_ready is True
    assert vendor.namespaces.get_namespace(name) == made
    assert client.namespaces.get(name)["namespace_id"] == made.namespace_id

    change = PatchNamespaceRequest(description="The shop")
    assert vendor.namespaces.patch_namespace(made.namespace_id, change).description == "The shop"
    assert client.namespaces.get(name)["description"] == "The shop"

    vendor.namespaces.delete_namespace(made.namespace_id)
    with pytest.raises(NotFoundException):
        vendor.namespaces.get_namespace(name)


def test_namespaces_are_listed(vendor: Vendor, namespace: str) -> None:
    ours = {"field": "namespace_name", "operator": "eq", "value": namespace}
    asked = ListNamespacesRequest(
        filters={"AND": [ours]}, sort={"field": "created_at", "direction": "asc"}, search="test-"
    )
    page = vendor.namespaces.list_namespaces(include_total=True, list_namespaces_request=asked)
    assert [each.namespace_name for each in page.results] == [namespace]
    assert (page.total_count, page.pagination.total, page.pagination.page) == (1, 1, 1)
    (newest,) = vendor.namespaces.list_namespaces_get(limit=1).results
    assert newest.created_at is not None
    assert page.results[0].created_at is not None
    assert newest.created_at >= page.results[0].created_at


def test_health_is_read(vendor: Vendor, client: Client) -> None:
    health = vendor.health.healthcheck_health()
    assert isinstance(health, dict)
    assert health["status"] in ("OK", "DEGRADED")
    assert health["components"].keys() == client.health()["components"].keys()
    beat = vendor.health.celery_beat_health()
    assert isinstance(beat, dict)
    assert beat["status"] == "OK"
