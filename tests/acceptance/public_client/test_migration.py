"""Migrations through the public client: its words for statuses, and its shapes."""

import pytest
from mixpeek import (
    BatchOptions,
    CancelMigrationRequest,
    CreateMigrationRequest,
    ListMigrationsRequest,
    MigrationConfig,
    MigrationStatus,
    MigrationType,
    ResourceFilter,
    StartMigrationRequest,
    ValidateMigrationRequest,
)
from mixpeek.exceptions import NotFoundException, UnprocessableEntityException

from tests.acceptance.public_client.vendor import Vendor
from tests.acceptance.shop import Shop, text_object
from tests.stack import Stack
from waybill import ApiError, Client

pytestmark = pytest.mark.timeout(180)


def test_a_migration_from_its_beginning_to_its_end(
    vendor: Vendor, stack: Stack, client: Client, shop: Shop, namespace: str
) -> None:
    shop.process(shop.add(text_object(f"text {n}") for n in range(5)))
    target = f"{namespace}-copy"
    config = MigrationConfig(
        migration_type=MigrationType.COPY,
        source_namespace_id=namespace,
        target_namespace_name=target,
        filters=ResourceFilter(collection_ids=[shop.collection_id]),
        batch_options=BatchOptions(batch_size=2),
    )
    found = vendor.migrations.validate_migration_namespaces(ValidateMigrationRequest(config=config))
    assert found.validation_result.valid
    assert found.dependency_graph is not None
    assert found.dependency_graph.execution_order == [shop.bucket_id, shop.collection_id]

    wanted = CreateMigrationRequest(config=config)
    made = vendor.migrations.create_migration_namespaces(wanted)
    assert made.status is MigrationStatus.DRAFT
    started = vendor.migrations.start_migration_namespaces(
        made.migration_id, StartMigrationRequest()
    )
    assert client.tasks.wait(started.task_id)["status"] == "COMPLETED"
    shown = vendor.migrations.get_migration_namespaces(made.migration_id)
    assert shown.status is shown.progress.overall_status is MigrationStatus.COMPLETED
    assert shown.progress.overall_progress_percent == 100.0
    assert {each.status for each in shown.progress.stages or ()} == {MigrationStatus.COMPLETED}
    ours = client.migrations.get(made.migration_id)
    assert ours["status"] == ours["progress"]["overall_status"] == "COMPLETED"
    with Client(stack.api_url, stack.api_key, namespace=target) as there:
        documents = list(there.documents.list("text-vectors"))
        assert len(documents) == there.buckets.get("texts")["object_count"] == 5
        assert {each["task_id"] for each in documents} == {started.task_id}

    again = vendor.migrations.validate_migration_namespaces(ValidateMigrationRequest(config=config))
    assert [each.error_code for each in again.validation_result.errors or ()] == ["name_taken"]
    second = vendor.migrations.create_migration_namespaces(wanted)
    with pytest.raises(UnprocessableEntityException):
        vendor.migrations.start_migration_namespaces(second.migration_id)
    canceled = vendor.migrations.cancel_migration_namespaces(
        second.migration_id, CancelMigrationRequest(reason="the name is taken")
    )
    assert canceled.status is MigrationStatus.CANCELLED
    for status, migration_id in (
        (MigrationStatus.COMPLETED, made.migration_id),
        (MigrationStatus.CANCELLED, second.migration_id),
    ):
        source = client.namespaces.get(namespace)["namespace_id"]
        page = vendor.migrations.list_migrations_namespaces(
            ListMigrationsRequest(status=status, source_namespace_id=source)
        )
        assert [each.migration_id for each in page.results] == [migration_id]
        assert (page.total, page.limit, page.offset) == (1, 20, 0)
    vendor.migrations.delete_migration_namespaces(second.migration_id)
    with pytest.raises(NotFoundException):
        vendor.migrations.get_migration_namespaces(second.migration_id)


def test_a_key_without_the_other_namespace_sees_none(
    stack: Stack, client: Client, shop: Shop, namespace: str
) -> None:
    shop.add([text_object("one")])
    made = client.migrations.create("copy", namespace, f"{namespace}-other")
    key = client.keys.create(namespace, permission="admin", namespaces=[namespace])
    with Client(stack.api_url, key["secret"], namespace=namespace) as limited:
        for call in (limited.migrations.get, limited.migrations.start, limited.migrations.delete):
            with pytest.raises(ApiError) as refused:
                call(made["migration_id"])
            assert refused.value.status == 404
        assert list(limited.migrations.list()) == []
        with pytest.raises(ApiError) as refused:
            limited.migrations.create("copy", namespace, f"{namespace}-mine")
        assert refused.value.status == 403
