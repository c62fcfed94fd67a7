"""Refusals become the public client's own exceptions, with our error as its model."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from mixpeek import (
    ApiException,
    BatchMetadata,
    BucketCreateRequest,
    BucketSchemaInput,
    CreateBatchRequest,
    CreateNamespaceRequest,
    ErrorResponse,
    ListObjectsRequest,
    SubmitBatchRequest,
)
from mixpeek.exceptions import (
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
    UnprocessableEntityException,
)

from tests.acceptance.public_client.vendor import Vendor, filters
from tests.acceptance.shop import Shop, text_object
from tests.stack import Stack
from waybill import Client


class Refusal(NamedTuple):
    """What the package makes of our error."""

    status: int
    type: str
    message: str
    places: list[object]


def refusal(exc: ApiException) -> Refusal:
    # It reads some of them itself, and of the others, 409 and 405, keeps the text.
    parsed = exc.data or ErrorResponse.from_json(str(exc.body))
    assert isinstance(parsed, ErrorResponse)
    assert parsed.success is False
    assert parsed.status == exc.status
    problems = (parsed.error.details or {}).get("validation_errors", [])
    places = [problem["location"] for problem in problems]
    return Refusal(parsed.status, parsed.error.type, parsed.error.message, places)


def test_a_key_that_is_not_known_is_refused(stack: Stack, namespace: str) -> None:
    stranger = Vendor.connect(stack.api_url, "sk_nobody", namespace)
    with pytest.raises(UnauthorizedException) as caught:
        stranger.tasks.list_tasks()
    assert refusal(caught.value)[:2] == (401, "UnauthorizedError")


def test_a_key_that_may_only_read_is_refused(
    stack: Stack, namespace: str, client: Client, shop: Shop
) -> None:
    key = client.keys.create("reader", "read", namespaces=[namespace])
    reader = Vendor.connect(stack.api_url, key["secret"], namespace)
    assert reader.buckets.get_bucket(shop.bucket_id).bucket_name == "texts"
    with pytest.raises(ForbiddenException) as caught:
        reader.buckets.delete_bucket(shop.bucket_id)
    assert refusal(caught.value)[:2] == (403, "ForbiddenError")


def test_what_is_not_there_is_not_found(vendor: Vendor) -> None:
    with pytest.raises(NotFoundException) as caught:
        vendor.tasks.get_task("tsk_nowhere")
    assert refusal(caught.value)[:2] == (404, "NotFoundError")
    assert "tsk_nowhere" in refusal(caught.value).message


def test_a_name_that_is_taken_is_a_conflict(vendor: Vendor, namespace: str) -> None:
    with pytest.raises(ConflictException) as caught:
        vendor.namespaces.create_namespace(CreateNamespaceRequest(namespace_name=namespace))
    assert refusal(caught.value)[:2] == (409, "AlreadyExistsError")


def test_what_cannot_be_done_as_things_stand_is_a_bad_request(vendor: Vendor, shop: Shop) -> None:
    draft = shop.batch(shop.add([text_object("one")]))
    with pytest.raises(BadRequestException) as caught:
        vendor.bucket_batches.cancel_batch_buckets_batches(shop.bucket_id, draft["batch_id"])
    assert refusal(caught.value)[:2] == (400, "BadRequestError")


def test_a_filter_that_means_nothing_is_refused(vendor: Vendor, shop: Shop) -> None:
    asked = ListObjectsRequest(filters=filters({"field": "$where", "value": "1"}))
    with pytest.raises(UnprocessableEntityException) as caught:
        vendor.objects.list_objects_buckets(shop.bucket_id, list_objects_request=asked)
    found = refusal(caught.value)
    assert found[:2] == (422, "ValidationError")
    assert found.places == [["body", "filters", "AND", 0, "field"]]


def test_what_is_not_done_here_is_refused_and_named(vendor: Vendor, shop: Shop) -> None:
    draft = shop.batch(shop.add([text_object("one")]))["batch_id"]
    limited = CreateBatchRequest(limit=1, metadata=BatchMetadata(notes="n"))
    plain = SubmitBatchRequest(include_processing_history=False)
    schema = BucketSchemaInput.from_dict({"properties": {"clip": {"type": "video"}}})
    assert schema is not None
    calls: dict[str, Callable[[], object]] = {
        "limit": lambda: vendor.bucket_batches.create_batch_buckets_batches(
            shop.bucket_id, limited
        ),
        "include_processing_history": lambda: vendor.bucket_batches.submit_batch_buckets_batches(
            shop.bucket_id, draft, submit_batch_request=plain
        ),
        "auto_submit": lambda: vendor.bucket_batches.create_batch_buckets_batches(
            shop.bucket_id, CreateBatchRequest(batch_name="b"), auto_submit=True
        ),
        "type": lambda: vendor.buckets.create_bucket(
            BucketCreateRequest(bucket_name="clips", bucket_schema=schema)
        ),
    }
    for key, call in calls.items():
        with pytest.raises(UnprocessableEntityException) as caught:
            call()
        found = refusal(caught.value)
        assert any(key in place for place in found.places if isinstance(place, list)), found
    assert shop.client.batches.get(draft)["status"] == "DRAFT"
